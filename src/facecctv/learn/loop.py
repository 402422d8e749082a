"""The training loop that all our own networks share, in torch.

A Keras model on this backend is a torch module, so one loop serves: AdamW, warm-up and cosine,
bfloat16 autocast, a moving average of the weights, a CSV log, and checkpoints that hold everything
needed to go on: interrupted and resumed, a run sees the same batches it would have seen.
"""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch.utils.data import DataLoader, IterableDataset

Batch = dict[str, torch.Tensor]
Step = Callable[[torch.nn.Module, Batch], tuple[torch.Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network learns."""

    steps: int
    learning_rate: float = 2e-3
    final_rate: float = 0.01
    """Of the learning rate, at the last step."""
    warm_up: int = 500
    weight_decay: float = 0.02
    average: float = 0.9995
    """Decay of the moving average of the weights."""
    clip: float = 10.0
    """Largest gradient norm."""
    save_every: int = 1000
    threads: int = os.cpu_count() or 1
    workers: int = 2
    seed: int = 0

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        part = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        low = self.final_rate
        return self.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * part)))


class _Stream(IterableDataset[Batch]):
    """Batches by number, so that workers share them out and a resumed run goes on in the middle."""

    def __init__(self, make: Callable[[int], Batch], start: int, stop: int) -> None:
        self._make, self._start, self._stop = make, start, stop

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(self._start + first, self._stop, stride):
            yield self._make(number)


class Average:
    """Exponential moving average of all weights and statistics."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self._decay = decay
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module, step: int) -> None:
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[name].lerp_(value.detach(), 1 - decay)
            else:
                self.state[name].copy_(value)

    @torch.no_grad()
    def restore_statistics(self, model: torch.nn.Module) -> None:
        """Puts the averages in the place of what is not trained, such as batch statistics."""
        trained = {name for name, value in model.named_parameters() if value.requires_grad}
        for name, value in model.state_dict().items():
            if name not in trained:
                value.copy_(self.state[name])


def fit(
    model: torch.nn.Module,
    make_batch: Callable[[int], Batch],
    step_loss: Step,
    schedule: Schedule,
    folder: Path,
    *,
    settings: Any = None,
    resume: bool = True,
    console: Console | None = None,
) -> Average:
    """Trains the model and returns the moving average of its weights.

    Args:
        model: its parameters are changed in place.
        make_batch: batch number -> tensors; called in worker processes.
        step_loss: (model, batch) -> loss and its named parts.
        schedule: length, rates, saving.
        folder: gets checkpoint.pt, log.csv and settings.json.
        settings: dataclass written to settings.json.
        resume: go on from checkpoint.pt if there is one.
        console: where progress lines go; none by default.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(schedule.threads)
    optimiser = _optimiser(model, schedule)
    average = Average(model, schedule.average)
    start = _load(folder, model, optimiser, average) if resume else 0
    if settings is not None:
        (folder / "settings.json").write_text(json.dumps(asdict(settings), indent=1, default=str))
    loader = DataLoader(
        _Stream(make_batch, start, schedule.steps),
        batch_size=None,
        num_workers=schedule.workers,
        prefetch_factor=4 if schedule.workers else None,
    )
    model.train()
    sums: dict[str, float] = {}
    began, seen = time.monotonic(), 0
    with (folder / "log.csv").open("a", newline="") as file:
        log = csv.writer(file)
        for step, batch in enumerate(loader, start):
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate(step)
            with torch.autocast("cpu", torch.bfloat16):
                loss, parts = step_loss(model, batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
            if torch.isfinite(norm):
                optimiser.step()
                average.update(model, step)
                seen += 1
                for name, value in parts.items():
                    sums[name] = sums.get(name, 0.0) + value
            else:  # one broken batch must not end hours of work
                average.restore_statistics(model)
            if (step + 1) % 100 == 0 and seen:
                means = {name: value / seen for name, value in sums.items()}
                speed = seen / (time.monotonic() - began)
                log.writerow([step + 1, *(f"{v:.5f}" for v in means.values()), f"{speed:.3f}"])
                file.flush()
                if console:
                    text = " ".join(f"{name} {value:.4f}" for name, value in means.items())
                    left = (schedule.steps - step - 1) / speed / 60
                    console.print(f"{step + 1}/{schedule.steps} {text} {left:.0f} min left")
                sums, seen, began = {}, 0, time.monotonic()
            if (step + 1) % schedule.save_every == 0 or step + 1 == schedule.steps:
                _save(folder, model, optimiser, average, step + 1)
    return average


def _optimiser(model: torch.nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": schedule.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=schedule.learning_rate,
    )


def _save(
    folder: Path,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    average: Average,
    step: int,
) -> None:
    temporary = folder / "checkpoint.part"
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.state,
        "step": step,
    }
    torch.save(state, temporary)
    temporary.replace(folder / "checkpoint.pt")


def _load(
    folder: Path, model: torch.nn.Module, optimiser: torch.optim.Optimizer, average: Average
) -> int:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    average.state = state["average"]
    return int(state["step"])
