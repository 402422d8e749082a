"""The weights that a training begins with: an earlier run's, or those of a released model.

A run's folder holds what a checkpoint does; a released model is one file that everybody has. Export
folds each normalisation into its convolution, so a network that comes back from a file has lost the
statistics of its batches. They are measured anew, on the pictures of the training that begins:
scale and shift are chosen so that the network computes what the file does, and training by batches
starts from there without a jump.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import torch
from torch.nn import functional

from facecctv.errors import ModelError
from facecctv.learn.export import check_parity
from facecctv.learn.loop import Schedule
from facecctv.learn.nets.attributes import AttributesNet
from facecctv.learn.nets.blocks import ConvNorm
from facecctv.learn.nets.colouriser import ColouriserNet
from facecctv.learn.nets.detector import BODY_NET, DetectorNet
from facecctv.learn.nets.embedder import EmbedderNet
from facecctv.learn.nets.enhancer import EnhancerNet
from facecctv.learn.nets.folded import load_folded, load_in_order
from facecctv.learn.releasing import averaged
from facecctv.models.card import Card

Weights = dict[str, torch.Tensor]

TOLERANCE = 1e-3
"""Of the largest output, between the file and the network that came back from it."""


def starting_weights(
    source: Path, pictures: Iterable[torch.Tensor], *, prefix: str = ""
) -> Weights:
    """Weights by name, from the folder of a run or from the ONNX file of one of our models.

    Args:
        source: folder or file.
        pictures: batches as the network takes them, for its statistics; read only for a file.
        prefix: of the names in the run that are wanted; it is taken off.

    Raises ModelError for a file that is no model of ours or of another shape than it says.
    """
    if source.is_dir():
        found = averaged(source)
        return {k[len(prefix) :]: v for k, v in found.items() if k.startswith(prefix)}
    return released(source.read_bytes(), pictures).state_dict()


def add_options(parser: argparse.ArgumentParser) -> None:
    """--start, --steps, --rate and --seed, for the recipes' own command lines."""
    parser.add_argument("--start", type=Path, help="folder of a run, or .onnx file, to begin with")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--rate", type=float, help="highest learning rate, instead of the recipe's")
    parser.add_argument("--seed", type=int, help="of the batches, instead of the recipe's")


def rescheduled(schedule: Schedule, options: argparse.Namespace) -> Schedule:
    """The schedule with what was asked for instead on the command line."""
    wanted = {"steps": options.steps, "learning_rate": options.rate, "seed": options.seed}
    return replace(schedule, **{k: v for k, v in wanted.items() if v is not None})


STATISTICS = 8
"""Batches of the training that begins, from which a released network gets its statistics."""


def released(exported: bytes, pictures: Iterable[torch.Tensor]) -> keras.Model:
    """The network that an exported model of ours came from, ready to be taught further."""
    card = Card.from_model(exported)
    net = _net(card)
    model = net.build()
    (load_folded if isinstance(net, DetectorNet) else load_in_order)(model, exported)
    batches = list(pictures)
    measure_statistics(model, batches)
    whole = net.with_chroma(model) if isinstance(net, ColouriserNet) else model
    check_parity(whole, exported, [[batch.numpy()] for batch in batches[:1]], TOLERANCE)
    return model


def _net(card: Card) -> Any:
    """The description of the network whose card this is; ModelError for one not made here."""
    if card.task == "enhancer":
        return EnhancerNet(scale=int(card.extra["scale"]))
    nets = {
        "face-detector": DetectorNet(),
        "body-detector": BODY_NET,
        "face-embedder": EmbedderNet(),
        "face-attributes": AttributesNet(),
        "colouriser": ColouriserNet(),
    }
    if card.task not in nets:
        raise ModelError(f"{card.name}: no training can begin with a model for {card.task}")
    return nets[card.task]


def measure_statistics(model: keras.Model, batches: Sequence[torch.Tensor]) -> None:
    """Gives every normalisation the mean and variance of what it sees, the answers unchanged.

    Scale and shift are set so that the layer computes what it did. Batches count evenly.
    """
    moments: dict[ConvNorm, list[tuple[torch.Tensor, torch.Tensor]]] = {
        layer: [] for layer in model.layers if isinstance(layer, ConvNorm)
    }
    hooks = [
        layer.register_forward_pre_hook(partial(_look, into=found))
        for layer, found in moments.items()
    ]
    with torch.no_grad():
        for batch in batches:
            model(batch, training=False)
    for hook in hooks:
        hook.remove()
    for layer, found in moments.items():
        if found:
            _normalise(layer, found)


def _look(
    layer: ConvNorm, inputs: tuple[Any, ...], *, into: list[tuple[torch.Tensor, torch.Tensor]]
) -> None:
    x = functional.conv2d(
        inputs[0], layer.weight.value, stride=layer.stride, padding=layer.kernel // 2
    )
    into.append((x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)))


def _normalise(layer: ConvNorm, moments: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
    means = torch.stack([mean for mean, _ in moments])
    within = torch.stack([variance for _, variance in moments]).mean(dim=0)
    mean, variance = means.mean(dim=0), within + means.var(dim=0, unbiased=False)
    old_gain = layer.scale.value / torch.sqrt(layer.variance.value + layer.epsilon)
    layer.shift.assign(layer.shift.value + (mean - layer.mean.value) * old_gain)
    layer.scale.assign(old_gain * torch.sqrt(variance + layer.epsilon))
    layer.mean.assign(mean)
    layer.variance.assign(variance)
