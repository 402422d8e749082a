"""What a model file says of itself: its card, kept in the metadata map of the ONNX file.

The map holds the whole card as one JSON value under `facecctv.card`, and its name and version
again under plain keys for tools that know nothing of this package.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Literal

import pydantic_core
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from facecctv.errors import ModelError
from facecctv.types import StepClass

KEY = "facecctv.card"
SCHEMA = 1
"""Raised whenever a card written today could be misread by yesterday's reader."""

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""What a model may be called: it names its file too, so nothing that could leave a folder."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelInput(_Part):
    """How pixels become the network's first input.

    A value p of 0..255 is first brought into `value_range` (lo + p / 255 * (hi - lo)), then
    normalised channel by channel as (value - mean) / std.
    """

    layout: Literal["NCHW", "NHWC"] = "NCHW"
    colour: Literal["RGB", "BGR", "Y", "L"] = "RGB"
    """Order of the channels; Y is luma, L is the lightness of CIELAB."""
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    value_range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    """One a channel, in units of `value_range`."""
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    multiple_of: int = Field(default=1, ge=1)
    """Height and width must be multiples of this, pixels."""
    size: tuple[int, int] | None = None
    """(height, width) in pixels where the network takes one size only."""

    @model_validator(mode="after")
    def _agree(self) -> ModelInput:
        channels = 1 if self.colour in ("Y", "L") else 3
        if len(self.mean) != channels or len(self.std) != channels:
            raise ValueError(f"mean and std have {channels} values for {self.colour}")
        if min(self.std) <= 0:
            raise ValueError("std must be positive")
        if self.value_range[0] >= self.value_range[1]:
            raise ValueError("value_range must rise")
        if self.size is not None and (
            min(self.size) < 1 or any(side % self.multiple_of for side in self.size)
        ):
            raise ValueError(f"size must be positive multiples of {self.multiple_of}")
        return self


class ModelOutput(_Part):
    """One output of the network, in the order of the graph."""

    name: str
    meaning: str
    """Axes, units and coding of its values, in words."""


class Threshold(_Part):
    """A working point, and the error rate at which it was set."""

    value: float
    at: str
    """For instance "0.1 false positives per picture on val"."""


class TrainingData(_Part):
    """A collection of pictures that the weights were made from."""

    name: str
    licence: str
    note: str = ""


class Metric(_Part):
    """One measured figure with the conditions it holds under."""

    name: str
    value: float
    conditions: str


class Card(_Part):
    """All that is known of a model; nothing is ever guessed from tensor shapes."""

    name: str = Field(pattern=NAME)
    task: str = Field(min_length=1)
    """For instance "face-detector", "enhancer"."""
    version: str = Field(min_length=1)
    description: str
    input: ModelInput
    outputs: tuple[ModelOutput, ...] = Field(min_length=1)
    step: StepClass
    licence: str = Field(min_length=1)
    """Of the weights, as an SPDX identifier where there is one."""
    thresholds: dict[str, Threshold] = {}
    training_data: tuple[TrainingData, ...] = ()
    metrics: tuple[Metric, ...] = ()
    recipe: str = ""
    """The recipe that trained it."""
    commit: str = ""
    """The commit of this repository that it was trained at."""
    extra: dict[str, JsonValue] = {}
    """Facts that only its task needs, for instance the strides of a detector."""

    @field_validator("extra")
    @classmethod
    def _is_json(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        json.dumps(extra, allow_nan=False).encode()
        return extra

    def threshold(self, name: str = "default") -> float:
        """Returns the value of a working point; raises ModelError when the card has none such."""
        if name not in self.thresholds:
            raise ModelError(f"the card of {self.name} has no threshold {name!r}")
        return self.thresholds[name].value

    def of_task(self, task: str) -> Card:
        """This card; raises ModelError where the model was made for another task."""
        if self.task != task:
            raise ModelError(f"{self.name} is no {task} but for the task {self.task}")
        return self

    def to_metadata(self) -> dict[str, str]:
        """Returns the entries to put into the metadata map of the ONNX file."""
        value = {"schema": SCHEMA, **self.model_dump(mode="json")}
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return {KEY: text, "name": self.name, "version": self.version}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Card:
        """Reads the card out of a metadata map.

        Raises ModelError, in one line, when there is no card, when it breaks its form, when it was
        written for another schema, or when the plain keys contradict it.
        """
        if KEY not in metadata:
            raise ModelError(f"the model file carries no card (metadata key {KEY})")
        try:
            value = pydantic_core.from_json(metadata[KEY], allow_inf_nan=False)
        except ValueError as error:
            raise ModelError(f"the model's card is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise ModelError("the model's card is not a JSON object")
        schema = value.pop("schema", None)
        if type(schema) is not int or schema != SCHEMA:
            raise ModelError(
                f"the model's card has schema {schema!r:.40}; this version reads {SCHEMA}"
            )
        try:
            card = cls.model_validate(value)
        except ValidationError as error:
            raise ModelError(f"the model's card is invalid: {one_line(error)}") from error
        for key in ("name", "version"):
            if metadata.get(key, getattr(card, key)) != getattr(card, key):
                raise ModelError(f"the model's card and its metadata disagree on its {key}")
        return card

    @classmethod
    def from_model(cls, model: bytes) -> Card:
        """Reads the card of an ONNX file's bytes; raises ModelError as from_metadata does."""
        return cls.from_metadata(read_metadata(model))


def one_line(error: ValidationError) -> str:
    """Returns the first fault of a validation as "place: what is wrong"."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


_METADATA_PROPS = 14  # field numbers of onnx.proto: ModelProto.metadata_props ...
_PROP_KEY, _PROP_VALUE = 1, 2  # ... and StringStringEntryProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_metadata(model: bytes) -> dict[str, str]:
    """Returns the metadata map of an ONNX file without loading an engine or the graph.

    Raises ModelError when the bytes are not a protocol buffer message.
    """
    found: dict[str, str] = {}
    try:
        for number, part in _fields(memoryview(model)):
            if number == _METADATA_PROPS:
                entry = {n: bytes(text).decode() for n, text in _fields(part)}
                found[entry.get(_PROP_KEY, "")] = entry.get(_PROP_VALUE, "")
    except (IndexError, ValueError) as error:
        raise ModelError("not an ONNX model, or a damaged one") from error
    return found


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields number and content of the fields that hold bytes; the others are skipped."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _, at = _varint(message, at)
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + length > len(message):
            raise ValueError("a field runs past the end")
        if wire == _BYTES:
            yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
