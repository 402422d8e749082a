"""From an exported model and its measurements to the folder of models that the product ships."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from facecctv.image import write_atomic
from facecctv.learn.export import with_card
from facecctv.models.card import Card
from facecctv.models.record import read_record, write_record


def averaged(run: Path) -> dict[str, torch.Tensor]:
    """The moving average of the weights in a run's checkpoint, by name."""
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    weights: dict[str, torch.Tensor] = state["average"]
    return weights


def release_model(folder: Path, exported: bytes, card: Card) -> Path:
    """Writes the model with its final card, and its hash into the folder's record."""
    path = folder / f"{card.name}.onnx"
    write_atomic(path, with_card(exported, card))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    write_record(folder, read_record(folder) | {path.name: digest})
    return path
