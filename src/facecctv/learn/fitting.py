"""How networks of keras.applications are taught: compiled Keras models, batch by batch.

Everything a run needs to go on is in one checkpoint: weights, optimiser, the place in the epoch,
the history. Batches are made from (seed, epoch, number) alone, so a run that was interrupted and
resumed sees what it would have seen.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import torch

from facecctv.errors import InputError, OutputError, SettingError
from facecctv.image.files import shown, write_atomic
from facecctv.learn.checkpoint import (
    BEST,
    CHECKPOINT,
    assign,
    load_best,
    read,
    save,
    values,
    weights,
)
from facecctv.learn.watching import Silent, Watcher

LOG, SETTINGS = "log.csv", "settings.json"
_FREE = {"threads", "workers", "save_minutes"}  # of no influence on what is learnt

Row = dict[str, float]
Batch = tuple[Any, Any]


@dataclass(frozen=True)
class Training:
    """How long and how fast; the defaults are those of the tutorials."""

    epochs: int = 40
    batch: int = 8
    learning_rate: float = 1e-4
    final_rate: float = 0.05
    """Of the learning rate, at the end of a phase; in between it falls as a cosine."""
    warm_up: float = 0.02
    """Share of a phase over which the rate rises from nothing."""
    frozen_epochs: int = 0
    """Epochs at the start in which only the heads learn."""
    fine_tune: float = 0.1
    """Times the learning rate, once a trunk that was frozen learns too."""
    weight_decay: float = 1e-4
    patience: int = 0
    """Stop after so many epochs without a better score; 0: never."""
    bf16: bool = False
    """Convolutions in bfloat16: several times as fast on CPUs that have it."""
    threads: int = os.cpu_count() or 1
    workers: int = 2
    save_minutes: float = 5.0
    """Checkpoints within an epoch; one is also written after each."""
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch": 1, "threads": 1, "workers": 1, "frozen_epochs": 0}
        for name, low in {**least, "patience": 0}.items():
            if getattr(self, name) < low:
                raise SettingError(f"{name} must be at least {low}, not {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise SettingError(f"the learning rate must be above 0, not {self.learning_rate}")


class Source(Protocol):
    """Where batches come from; the same arguments give the same batch."""

    steps: int
    """Batches of an epoch."""

    def batch(self, epoch: int, number: int) -> Batch:
        """Returns inputs and targets as the model takes them."""


@dataclass(frozen=True)
class Lesson:
    """A network and how it is judged."""

    model: keras.Model
    trunk: keras.Model
    """The part that stays frozen in the frozen epochs."""
    loss: Any
    """As for `keras.Model.compile`: one loss, or one by head."""
    loss_weights: dict[str, float] | None = None
    measure: Callable[[keras.Model], Row] = lambda model: {}
    """Figures on the validation pictures, after each epoch; they get the prefix `val_`."""
    score: Callable[[Row], float] = lambda row: row["val_loss"]
    """Of an epoch's row; the lowest is the best."""
    pretrained: bool = False
    """Keep the trunk's batch normalisation as it came: small batches would spoil it."""


@dataclass
class _Progress:
    """Where a run stands; all of it goes into the checkpoint."""

    epoch: int = 0
    step: int = 0
    sums: Row = field(default_factory=dict)
    seconds: float = 0.0
    history: list[Row] = field(default_factory=list)
    best: float = math.inf
    stale: int = 0


def teach(
    lesson: Lesson,
    train: Source,
    val: Source,
    training: Training,
    folder: Path,
    *,
    settings: Any = None,
    watcher: Watcher | None = None,
) -> list[Row]:
    """Trains the model, leaves it with its best weights, and returns one row an epoch.

    Rows hold the losses of all heads, in training and (`val_`) validation, and what
    `lesson.measure` gives. The folder gets checkpoint.pt, best.pt, log.csv and settings.json; if
    it holds a checkpoint, the run goes on from there.

    Args:
        lesson: changed in place.
        train: batches to learn from.
        val: batches to judge by.
        training: lengths and rates.
        folder: of this run, made where needed.
        settings: dataclass that decides the result; a checkpoint made under others is refused.
        watcher: is told what happens.

    Raises OutputError when the folder cannot be written (the last whole checkpoint stays),
    SettingError for a folder of another run, InputError for a damaged checkpoint.
    """
    torch.set_num_threads(training.threads)
    keras.utils.set_random_seed(training.seed)
    watcher = watcher or Silent()
    facts = _facts(settings, training)
    _prepare_folder(folder, facts)
    phase = _Phase(lesson, training, train.steps)
    progress = _resume(folder, lesson.model, phase)
    watcher.begin(training.epochs, train.steps, progress.epoch)
    saved = time.monotonic()
    while progress.epoch < training.epochs and not _enough(progress, training):
        phase.enter(progress.epoch)
        began = time.monotonic()
        first = progress.step
        for x, y in _ahead(train, progress.epoch, first, training.workers):
            _add(progress.sums, _learn(lesson.model, x, y, training.bf16))
            progress.step += 1
            watcher.step(progress.epoch, progress.step, _means(progress.sums, progress.step))
            if time.monotonic() - saved > 60 * training.save_minutes:
                save(folder / CHECKPOINT, _state(lesson.model, progress))
                saved = time.monotonic()
        progress.seconds += time.monotonic() - began
        row = {"epoch": progress.epoch + 1, "seconds": round(progress.seconds, 1)}
        row |= _means(progress.sums, progress.step) | _validate(lesson.model, val, training.bf16)
        row |= {f"val_{name}": value for name, value in lesson.measure(lesson.model).items()}
        better = _finish_epoch(progress, row, lesson.score(row))
        if better:
            save(folder / BEST, {"weights": values(weights(lesson.model))})
        save(folder / CHECKPOINT, _state(lesson.model, progress))
        saved = time.monotonic()
        _log(folder / LOG, progress.history)
        watcher.epoch(row, better)
    watcher.end(stopped=progress.epoch < training.epochs)
    load_best(lesson.model, folder)
    return progress.history


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of a run. Raises InputError where there are none."""
    try:
        return dict(json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(folder)}: no finished or started run") from error


def read_log(folder: Path) -> list[Row]:
    """The rows of a run's log.csv. Raises InputError where there is none."""
    try:
        text = (folder / LOG).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{shown(folder)}: no log of a run") from error
    rows = csv.DictReader(io.StringIO(text))
    return [{k: float(v) for k, v in row.items() if v} for row in rows]


class _Phase:
    """Compiles the model for the frozen and the fine-tuning part of a run."""

    def __init__(self, lesson: Lesson, training: Training, steps: int) -> None:
        self._lesson, self._training, self._steps = lesson, training, steps
        self._frozen: bool | None = None

    def enter(self, epoch: int) -> None:
        training = self._training
        frozen = epoch < training.frozen_epochs
        if frozen == self._frozen:
            return
        self._frozen = frozen
        first = 0 if frozen else min(training.frozen_epochs, training.epochs)
        last = training.frozen_epochs if frozen else training.epochs
        rate = training.learning_rate
        if not frozen and training.frozen_epochs:
            rate *= training.fine_tune
        self._lesson.trunk.trainable = not frozen
        if self._lesson.pretrained and not frozen:
            _freeze_norms(self._lesson.trunk)
        steps = max(1, (last - first) * self._steps)
        self._lesson.model.compile(
            optimizer=keras.optimizers.AdamW(
                _cosine(rate, steps, training), weight_decay=training.weight_decay, clipnorm=10.0
            ),
            loss=self._lesson.loss,
            loss_weights=self._lesson.loss_weights,
        )
        self._lesson.model.optimizer.build(self._lesson.model.trainable_variables)


def _cosine(rate: float, steps: int, training: Training) -> Any:
    warm = min(steps // 2, round(training.warm_up * steps))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm else rate,
        decay_steps=max(1, steps - warm),
        alpha=training.final_rate,
        warmup_target=rate if warm else None,
        warmup_steps=warm,
    )


def _freeze_norms(trunk: keras.Model) -> None:
    for layer in trunk._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _precision(bf16: bool) -> Any:
    return torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()


def _learn(model: keras.Model, x: Any, y: Any, bf16: bool) -> Row:
    with _precision(bf16):
        return model.train_on_batch(x, y, return_dict=True)


def _validate(model: keras.Model, val: Source, bf16: bool) -> Row:
    sums: Row = {}
    with _precision(bf16), torch.no_grad():
        for number in range(val.steps):
            model.reset_metrics()
            _add(sums, model.test_on_batch(*val.batch(0, number), return_dict=True))
    return {f"val_{name}": value for name, value in _means(sums, val.steps).items()}


def _add(sums: Row, values: Row) -> None:
    for name, value in values.items():
        sums[name] = sums.get(name, 0.0) + float(value)


def _means(sums: Row, count: int) -> Row:
    return {name: value / max(1, count) for name, value in sums.items()}


def _ahead(source: Source, epoch: int, first: int, workers: int) -> Iterator[Batch]:
    """Batches in order, made by threads while the network is busy."""
    with ThreadPoolExecutor(workers) as pool:
        numbers = iter(range(first, source.steps))
        waiting = [pool.submit(source.batch, epoch, n) for n in islice(numbers, 2 * workers)]
        while waiting:
            batch = waiting.pop(0).result()
            waiting += [pool.submit(source.batch, epoch, n) for n in islice(numbers, 1)]
            yield batch


def _enough(progress: _Progress, training: Training) -> bool:
    return bool(training.patience) and progress.stale >= training.patience


def _finish_epoch(progress: _Progress, row: Row, score: float) -> bool:
    better = score < progress.best
    progress.best, progress.stale = (score, 0) if better else (progress.best, progress.stale + 1)
    progress.history.append(row)
    progress.epoch, progress.step, progress.sums, progress.seconds = progress.epoch + 1, 0, {}, 0.0
    return better or len(progress.history) == 1


def _state(model: keras.Model, progress: _Progress) -> dict[str, Any]:
    return {
        "weights": values(weights(model)),
        "optimiser": values(model.optimizer.variables),
        "progress": asdict(progress),
        "chance": torch.get_rng_state(),  # dropout draws from it
    }


def _resume(folder: Path, model: keras.Model, phase: _Phase) -> _Progress:
    if not (folder / CHECKPOINT).exists():
        phase.enter(0)
        return _Progress()
    state = read(folder / CHECKPOINT)
    progress = _Progress(**state["progress"])
    # A finished phase leaves the optimiser of that phase in the checkpoint.
    phase.enter(progress.epoch if progress.step else max(0, progress.epoch - 1))
    assign(weights(model), state["weights"], folder)
    assign(model.optimizer.variables, state["optimiser"], folder)
    torch.set_rng_state(state["chance"])
    return progress


def _facts(settings: Any, training: Training) -> dict[str, Any]:
    facts = asdict(settings) if settings is not None else asdict(training)
    return json.loads(json.dumps(facts, default=str))


def _prepare_folder(folder: Path, facts: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{shown(folder)}: cannot be made: {error.strerror}") from error
    if (folder / CHECKPOINT).exists():
        before, now = _flat(read_settings(folder)), _flat(facts)
        other = [k for k in now if k.rsplit(".", 1)[-1] not in _FREE and before.get(k) != now[k]]
        if other:
            name = other[0]
            raise SettingError(
                f"{shown(folder)}: holds a run with {name} {before.get(name)!r}, not "
                f"{now[name]!r}; name another folder, or remove it to start anew"
            )
    write_atomic(folder / SETTINGS, (json.dumps(facts, indent=1) + "\n").encode())


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return flat


def _log(path: Path, history: Sequence[Row]) -> None:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(history[-1]), restval="", lineterminator="\n")
    table.writeheader()
    for row in history:
        table.writerow({k: f"{v:.6g}" for k, v in row.items()})
    write_atomic(path, text.getvalue().encode())


def predict(
    model: keras.Model, pictures: np.ndarray, names: Sequence[str] = (), batch: int = 32
) -> list[np.ndarray]:
    """Outputs, float32, for (N, H, W, 3) uint8 pictures: those of these names, or the only one."""
    parts: list[list[np.ndarray]] = []
    with torch.no_grad():
        for start in range(0, len(pictures), batch):
            x = torch.from_numpy(np.ascontiguousarray(pictures[start : start + batch])).float()
            out = model(x, training=False)
            values = [out[name] for name in names] if names else [out]
            parts.append([value.float().numpy() for value in values])
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
