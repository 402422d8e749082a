import csv
import json
import math
from dataclasses import dataclass

import pytest
import torch
from rich.console import Console

from facecctv.learn.loop import Average, Schedule, fit

SCHEDULE = Schedule(steps=12, warm_up=3, save_every=5, workers=0, threads=1, average=0.9)


def toy():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 1)
    )


def make_batch(number):
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(16, 4, generator=generator)
    return {"x": x, "y": x.sum(dim=1, keepdim=True)}


def step_loss(model, batch):
    loss = (model(batch["x"]).float() - batch["y"]).square().mean()
    return loss, {"square": float(loss.detach())}


def train(folder, make=make_batch, schedule=SCHEDULE, **options):
    model = toy()
    average = fit(model, make, step_loss, schedule, folder, **options)
    return model.state_dict(), average.state


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_resumed_run_ends_with_the_same_bits_as_an_uninterrupted_one(tmp_path):
    def breaks(number):
        if number == 8:
            raise KeyboardInterrupt
        return make_batch(number)

    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", breaks)
    assert torch.load(tmp_path / "parts/checkpoint.pt", weights_only=True)["step"] == 5
    resumed = train(tmp_path / "parts")
    assert same(whole[0], resumed[0])
    assert same(whole[1], resumed[1])


def test_a_run_that_has_ended_stays_as_it_is(tmp_path):
    first = train(tmp_path)
    again = train(tmp_path)
    assert same(first[0], again[0])
    assert same(first[1], again[1])


def test_without_resume_it_begins_anew(tmp_path):
    train(tmp_path, schedule=Schedule(**{**vars(SCHEDULE), "steps": 5}))
    numbers = []
    train(tmp_path, lambda n: numbers.append(n) or make_batch(n), resume=False)
    assert numbers == list(range(12))


def test_a_batch_that_is_not_finite_is_left_out(tmp_path):
    def broken(number):
        batch = make_batch(number)
        return {**batch, "x": batch["x"] * math.nan} if number in (4, 11) else batch

    weights, average = train(tmp_path, broken)
    for state in (weights, average):
        assert all(torch.isfinite(value.float()).all() for value in state.values())
    # The last batch was broken: the end is saved nevertheless.
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 12


def test_it_learns(tmp_path):
    schedule = Schedule(
        steps=300, learning_rate=0.02, warm_up=10, save_every=300, workers=0, threads=1
    )
    console = Console(record=True, quiet=True, width=120)
    train(tmp_path, schedule=schedule, console=console)
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [int(row[0]) for row in rows] == [100, 200, 300]
    assert float(rows[-1][1]) < 0.6 * float(rows[0][1])


def test_worker_processes_give_the_same_batches_in_the_same_order(tmp_path):
    alone = train(tmp_path / "0")
    shared = train(tmp_path / "2", schedule=Schedule(**{**vars(SCHEDULE), "workers": 2}))
    assert same(alone[0], shared[0])


@dataclass(frozen=True)
class Notes:
    steps: int = 12


def test_settings_are_kept_beside_the_checkpoint(tmp_path):
    train(tmp_path, settings=Notes())
    assert json.loads((tmp_path / "settings.json").read_text()) == {"steps": 12}


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0.25), (1, 0.5), (3, 1.0), (4, 1.0), (54, 0.505), (104, 0.01)]
)
def test_rates_rise_straight_then_fall_as_a_cosine(step, share):
    schedule = Schedule(steps=104, learning_rate=2.0, warm_up=4, final_rate=0.01)
    assert schedule.rate(step) == pytest.approx(2.0 * share)


def test_the_average_follows_slowly():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 0.0)
    average = Average(model, 0.9)
    torch.nn.init.constant_(model.weight, 1.0)
    average.update(model, 10_000)
    assert average.state["weight"].item() == pytest.approx(0.1)
    average.update(model, 0)  # early on it forgets quickly
    assert average.state["weight"].item() == pytest.approx(0.91)
