"""Any trunk of keras.applications by name, with its own preprocessing inside."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from keras import layers

from facecctv.errors import InputError, ModelError, SettingError

IMAGENET, NONE, SHIPPED = "imagenet", "none", "shipped"
POOLINGS = ("max", "average", "flatten")


def backbone_names() -> tuple[str, ...]:
    """Names of all trunks, such as VGG16, ResNet50, MobileNetV2."""
    return tuple(sorted(n for n in dir(keras.applications) if n[:1].isupper()))


def build_backbone(
    name: str, size: int, weights: str = NONE, *, offline: bool = False
) -> keras.Model:
    """A trunk without its top: (N, size, size, 3) float32 RGB 0..255 -> feature maps.

    What the trunk's authors did to pixels (channel order, means) is its first layer, so one rule
    for pixels fits all trunks.

    Args:
        name: of keras.applications; capitals do not matter.
        size: side of the pictures, pixels; most trunks need at least 32.
        weights: `imagenet` (Keras downloads them once), `none` (random), or a file of weights
            without the top in the layout Keras publishes (.h5) or writes (.weights.h5).
        offline: refuse to download.

    Raises SettingError for an unknown name or a size the trunk cannot take, ModelError when the
    weights cannot be had or do not fit.
    """
    make = _maker(name)
    picture = keras.Input((size, size, 3), name="picture")
    pixels = _Preprocess(sys.modules[make.__module__].preprocess_input)(picture)
    try:
        trunk = make(include_top=False, weights=None, input_shape=(size, size, 3))
    except ValueError as error:
        raise SettingError(f"{name} cannot take pictures of {size} px: {_line(error)}") from error
    if weights == IMAGENET:
        _load(trunk, _download(make, name, size, offline=offline), name)
    elif weights != NONE:
        _load(trunk, weights, name)
    return keras.Model(picture, trunk(pixels), name="backbone")


def pooled(features: keras.KerasTensor, pooling: str) -> keras.KerasTensor:
    """(N, h, w, C) -> (N, C) by `max` or `average`, or (N, h * w * C) by `flatten`."""
    if pooling == "max":
        return layers.GlobalMaxPooling2D()(features)
    if pooling == "average":
        return layers.GlobalAveragePooling2D()(features)
    if pooling == "flatten":
        return layers.Flatten()(features)
    raise SettingError(f"pooling is one of {', '.join(POOLINGS)}, not {pooling!r}")


class _Preprocess(layers.Layer):
    """A trunk's own preprocess_input; the trunk's module says which, so it has no settings."""

    def __init__(self, function: Callable[[Any], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._function = function

    def call(self, x: Any) -> Any:
        # Some of these functions change what they are given, which is the caller's.
        return self._function(keras.ops.copy(x))


def _maker(name: str) -> Callable[..., keras.Model]:
    if name.lower() == SHIPPED:
        raise SettingError(
            "the shipped embedder is a trunk for recognisers only (train recogniser --backbone "
            "shipped); the shipped detector is fine-tuned with --arch fast"
        )
    known = {n.lower(): n for n in backbone_names()}
    if name.lower() not in known:
        names = ", ".join(known.values())
        raise SettingError(f"no trunk {name!r} in keras.applications; known: {names}")
    return getattr(keras.applications, known[name.lower()])


def _download(make: Callable[..., keras.Model], name: str, size: int, *, offline: bool) -> Any:
    advice = (
        "; give the file with --weights FILE (Keras' own name for it ends in notop.h5), "
        "or start from random weights with --weights none"
    )
    if offline:
        raise ModelError(
            f"the ImageNet weights of {name} are not here, and this is offline{advice}"
        )
    try:
        full = make(include_top=False, weights=IMAGENET, input_shape=(size, size, 3))
    except Exception as error:
        raise ModelError(
            f"the ImageNet weights of {name} are downloaded by Keras, and could not be{advice} "
            f"({_line(error)})"
        ) from error
    return full.get_weights()


def _load(trunk: keras.Model, weights: Any, name: str) -> None:
    if not isinstance(weights, str):
        trunk.set_weights(weights)
        return
    try:
        with Path(weights).open("rb"):
            pass  # HDF5's own error for a missing file takes many lines
        trunk.load_weights(weights)
    except OSError as error:
        reason = error.strerror or "not a file of weights (HDF5)"
        raise InputError(f"{weights}: {reason}") from error
    except (ValueError, KeyError) as error:
        raise ModelError(f"{weights}: not weights of {name} without top: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
