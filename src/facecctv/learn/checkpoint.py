"""What a training needs to go on, in files that are whole or not there."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import torch

from facecctv.errors import InputError, SettingError
from facecctv.image.files import shown, write_atomic

CHECKPOINT, BEST = "checkpoint.pt", "best.pt"


def load_best(model: keras.Model, folder: Path) -> None:
    """Gives the model the best weights of a run. Raises InputError where there are none."""
    assign(weights(model), read(folder / BEST)["weights"], folder)


def weights(model: keras.Model) -> list[Any]:
    """All state of the network, seeds of dropout with it, in a fixed order."""
    passing = {id(v) for v in model.metrics_variables}
    if getattr(model, "optimizer", None) is not None:
        passing |= {id(v) for v in model.optimizer.variables}
    return [v for v in model.variables if id(v) not in passing]


def values(variables: Sequence[Any]) -> list[torch.Tensor]:
    """Copies of what the variables hold."""
    return [torch.as_tensor(v.value).detach().clone() for v in variables]


def assign(variables: Sequence[Any], wanted: Sequence[torch.Tensor], folder: Path) -> None:
    """Gives variables their values; SettingError, naming the folder, where shapes differ."""
    if [tuple(v.shape) for v in variables] != [tuple(v.shape) for v in wanted]:
        raise SettingError(f"{shown(folder)}: holds a run of another network")
    for variable, value in zip(variables, wanted, strict=True):
        variable.assign(value)


def save(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all: the checkpoint before stays until the new one is on the disk."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


def read(path: Path) -> dict[str, Any]:
    """What `save` wrote. Raises InputError where it is missing or damaged."""
    try:
        return dict(torch.load(path, weights_only=True))
    except OSError as error:
        raise InputError(f"{shown(path)}: {error.strerror}") from error
    except Exception as error:  # torch raises whatever its unpickler meets
        raise InputError(f"{shown(path)}: damaged; remove it to start anew") from error
