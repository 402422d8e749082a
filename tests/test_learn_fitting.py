import resource
import signal
from dataclasses import dataclass, replace

import pytest

pytest.importorskip("torch")

import keras
import numpy as np

from facecctv.errors import InputError, OutputError, SettingError
from facecctv.learn.checkpoint import BEST, CHECKPOINT, load_best, save
from facecctv.learn.fitting import (
    Lesson,
    Training,
    read_log,
    read_settings,
    teach,
)

FAST = Training(epochs=4, batch=4, learning_rate=0.02, threads=1, workers=2, warm_up=0.2)


@dataclass
class Numbers:
    """y = mean of x, in batches that depend on their number alone; may be interrupted once."""

    steps: int = 3
    stop_at: tuple[int, int] | None = None

    def batch(self, epoch, number):
        if self.stop_at == (epoch, number):
            raise KeyboardInterrupt
        x = np.random.default_rng((epoch, number)).normal(size=(4, 6)).astype(np.float32)
        return x, x.mean(axis=1, keepdims=True)


def lesson(**changes):
    keras.utils.set_random_seed(1)
    trunk = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "tanh")], name="backbone")
    x = keras.Input((6,))
    hidden = keras.layers.Dropout(0.1)(keras.layers.BatchNormalization()(trunk(x)))
    model = keras.Model(x, keras.layers.Dense(1)(hidden))
    return Lesson(**{"model": model, "trunk": trunk, "loss": "mse", **changes})


def weights(taught):
    return np.concatenate([w.reshape(-1) for w in taught.model.get_weights()])


def plain(rows):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.mark.parametrize("frozen", [0, 2])
@pytest.mark.parametrize("where", [(0, 1), (1, 0), (2, 2)])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, where, frozen):
    training = replace(FAST, frozen_epochs=frozen, save_minutes=0.0)
    whole = lesson()
    history = teach(whole, Numbers(), Numbers(), training, tmp_path / "whole")

    with pytest.raises(KeyboardInterrupt):
        teach(lesson(), Numbers(stop_at=where), Numbers(), training, tmp_path / "parts")
    again = lesson()
    resumed = teach(again, Numbers(), Numbers(), training, tmp_path / "parts")

    np.testing.assert_allclose(weights(again), weights(whole), atol=1e-6)
    for a, b in zip(plain(resumed), plain(history), strict=True):
        assert a == pytest.approx(b, abs=1e-6)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = teach(lesson(), Numbers(), Numbers(), FAST, tmp_path)
    again = teach(lesson(), Numbers(stop_at=(0, 0)), Numbers(), FAST, tmp_path)
    assert again == first
    assert len(read_log(tmp_path)) == FAST.epochs
    assert read_settings(tmp_path)["epochs"] == FAST.epochs


def test_frozen_epochs_leave_the_trunk_alone(tmp_path):
    taught = lesson()
    before = [w.copy() for w in taught.trunk.get_weights()]
    teach(taught, Numbers(), Numbers(), replace(FAST, epochs=2, frozen_epochs=2), tmp_path)
    for a, b in zip(before, taught.trunk.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_early_stopping_ends_with_the_best_weights(tmp_path):
    scores = iter([3.0, 1.0, 2.0, 2.5, 9.0, 9.0])
    seen = []
    taught = lesson(
        measure=lambda model: seen.append(model.get_weights()) or {}, score=lambda row: next(scores)
    )
    history = teach(taught, Numbers(), Numbers(), replace(FAST, epochs=6, patience=2), tmp_path)
    assert len(history) == 4
    for a, b in zip(taught.model.get_weights(), seen[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_full_disk_leaves_the_checkpoint_before(tmp_path):
    teach(lesson(), Numbers(), Numbers(), replace(FAST, epochs=1), tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes(), (tmp_path / BEST).read_bytes()
    (tmp_path / "settings.json").unlink()  # so that more epochs are the same run
    (tmp_path / "settings.json").write_text('{"epochs": 2}')

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        from facecctv.learn.fitting import _Progress, _state

        taught = lesson()
        taught.model.compile(optimizer="adam", loss="mse")
        with pytest.raises(OutputError, match="cannot be written"):
            save(tmp_path / CHECKPOINT, _state(taught.model, _Progress()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert ((tmp_path / CHECKPOINT).read_bytes(), (tmp_path / BEST).read_bytes()) == before
    assert not list(tmp_path.glob(".*.part"))


def test_another_run_in_the_folder_is_refused(tmp_path):
    teach(lesson(), Numbers(), Numbers(), replace(FAST, epochs=1), tmp_path)
    with pytest.raises(SettingError, match="batch 4, not 16"):
        teach(lesson(), Numbers(), Numbers(), replace(FAST, epochs=1, batch=16), tmp_path)
    teach(lesson(), Numbers(), Numbers(), replace(FAST, epochs=1, threads=2), tmp_path)


def test_a_damaged_checkpoint_is_one_clear_line(tmp_path):
    teach(lesson(), Numbers(), Numbers(), replace(FAST, epochs=1), tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"checkpoint\.pt: damaged") as caught:
        teach(lesson(), Numbers(), Numbers(), replace(FAST, epochs=1), tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused(tmp_path):
    teach(lesson(), Numbers(), Numbers(), replace(FAST, epochs=1), tmp_path)
    other = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    with pytest.raises(SettingError, match="another network"):
        load_best(other, tmp_path)


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch": 0}, {"learning_rate": 0.0}])
def test_impossible_settings(changes):
    with pytest.raises(SettingError):
        replace(FAST, **changes)
