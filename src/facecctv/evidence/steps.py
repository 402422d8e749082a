"""Ordered chains of processing steps: written as one line, run, recorded, run again.

The grammar, in which white space around a word means nothing:

    chain     = step *("," step)
    step      = name *(":" parameter)
    parameter = [key "="] value

Only a step's first value may go without key, and stands for the step's first parameter:
`denoise:h=5,levels:auto,enhance:x4`. A point is written as 120.5x80. Keys may be written with "-"
for "_". Values hold no comma, colon or equals sign, so nothing needs quoting in a shell.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import cv2
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from facecctv.errors import LimitError, SettingError
from facecctv.image import resize
from facecctv.types import Image, Origin, StepClass, check_image
from facecctv.vision.filters import FILTERS, Filter, Parameters


def _without_x(value: object) -> object:
    value = value.removeprefix("x") if isinstance(value, str) else value
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class Enhance(Parameters):
    """More pixels, less blur and noise, by a network; `facecctv.vision.enhance` has the rest."""

    name: ClassVar[str] = "enhance"
    step: ClassVar[StepClass] = "learned"

    scale: Annotated[Literal[2, 4], BeforeValidator(_without_x)] = 4
    """How many pixels a side become of one: x2 or x4."""
    strength: float = Field(default=1.0, ge=0, le=1)
    """0 is plain interpolation, 1 the network's picture, between them a mixture."""
    luminance: Literal["auto", "on", "off"] = "auto"
    """Whether only brightness is enhanced; auto: in grey pictures."""
    faces_only: bool = False
    """Enhance the faces found, and enlarge the rest by plain interpolation."""

    def size_after(self, width: int, height: int) -> tuple[int, int]:
        """`scale` times as large each way."""
        return width * self.scale, height * self.scale


class Colourise(Parameters):
    """Estimated colour, by a network; `facecctv.vision.colourise` has the rest."""

    name: ClassVar[str] = "colourise"
    step: ClassVar[StepClass] = "generative"

    saturation: float = Field(default=1.0, ge=0, le=4)
    """0 is grey, 1 as the network says."""
    force: bool = False
    """Also pictures that have colour already; it is replaced."""


Modelled = Enhance | Colourise
"""The steps that need a model, which is handed in."""

_KINDS: tuple[type[Parameters], ...] = (*FILTERS, Enhance, Colourise)
KNOWN: dict[str, type[Parameters]] = {kind.name: kind for kind in _KINDS}
"""Every step by its name."""


@dataclass(frozen=True)
class Tool:
    """What performs a step that needs a model."""

    run: Callable[[Image], Image]
    """(H, W, 3) uint8 RGB to the same form, of the size that the step's `size_after` says."""
    origin: Origin
    """The model behind it; its class is the step's."""
    found_by: Origin | None = None
    """The model that found where to do it, as with `faces_only`."""


class Step(BaseModel):
    """One step as it was done."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        serialize_by_alias=True,
        validate_by_name=True,
        validate_by_alias=True,
        protected_namespaces=(),
    )

    name: str
    step_class: Annotated[StepClass, Field(alias="class")]
    """How far what came out departs from the pixels that went in."""
    parameters: dict[str, JsonValue] = {}
    """All that matter, defaults too."""
    model: str | None = None
    model_version: str | None = None
    model_sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None
    """Of the model's file."""
    found_by: str | None = None
    """The model that found where to do it, where that was not the whole picture."""
    found_by_sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None


@dataclass(frozen=True)
class Chain:
    """Steps in the order in which they are done."""

    steps: tuple[Filter | Modelled, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise SettingError("a chain has at least one step")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads the grammar above.

        Raises SettingError, in one line, for an unknown step or parameter (naming the known ones),
        an impossible value, and anything else that is not of the grammar.
        """
        if not text.strip():
            raise SettingError(f"no steps; known: {', '.join(KNOWN)}")
        return cls(tuple(_parsed(part.strip()) for part in text.split(",")))

    @classmethod
    def of(cls, steps: Iterable[Step]) -> Self:
        """The chain that was recorded, to run it again; raises SettingError as `parse`."""
        return cls(tuple(_made(step.name, dict(step.parameters)) for step in steps))

    def __str__(self) -> str:
        """The chain in its grammar, with every parameter; `parse` reads it back."""
        return ",".join(":".join([step.name, *_written(step.recorded())]) for step in self.steps)

    def size_after(self, width: int, height: int, max_pixels: int | None = None) -> tuple[int, int]:
        """Width and height of the result for a picture of this size.

        Raises LimitError where any step's result has more pixels than allowed, ImageError where a
        step cannot be done to a picture of this size.
        """
        for step in self.steps:
            width, height = step.size_after(width, height)
            if max_pixels is not None and width * height > max_pixels:
                raise LimitError(
                    f"{step.name} makes {width} x {height} pixels, "
                    f"more than the limit of {max_pixels:,}"
                )
        return width, height

    def plain(self, image: Image) -> Image:
        """The picture (H, W, 3) as it would lie in the result had nothing been changed but places.

        Geometric filters are done, models stood in for by plain interpolation, the rest left out.
        """
        for step in self.steps:
            if not isinstance(step, Filter):
                height, width = image.shape[:2]
                image = resize(image, *step.size_after(width, height))
            elif step.step == "geometric":
                image = step(image)
        return image


def _parsed(part: str) -> Filter | Modelled:
    name, *words = (word.strip() for word in part.split(":"))
    if not name:
        raise SettingError("a step is missing: there is nothing before, after or between commas")
    kind = _known(name)
    given: dict[str, Any] = {}
    for place, word in enumerate(words):
        key, equals, value = (piece.strip() for piece in word.partition("="))
        if not equals:
            if place or not key:
                raise SettingError(
                    f"{name}: {word!r} is no parameter; they are written as key=value"
                )
            key, value = next(iter(kind.model_fields)), key
        key = key.replace("-", "_")
        if key in given:
            raise SettingError(f"{name}: {key!r} is given twice")
        given[key] = value
    return _made(name, given)


def _known(name: str) -> type[Parameters]:
    if name not in KNOWN:
        raise SettingError(f"unknown step {name!r}{_nearest(name, KNOWN)}; known: {_list(KNOWN)}")
    return KNOWN[name]


def _made(name: str, given: dict[str, Any]) -> Filter | Modelled:
    kind = _known(name)
    fields = list(kind.model_fields)
    for key in given:
        if key not in fields:
            near = _nearest(key, fields)
            raise SettingError(f"{name} has no parameter {key!r}{near}; it has: {_list(fields)}")
    try:
        made = kind.model_validate(given)
    except ValidationError as error:
        raise SettingError(f"{name}: {_fault(error)}") from error
    if not isinstance(made, Filter | Enhance | Colourise):
        raise AssertionError("every known step is a filter or needs a model")
    return made


def _fault(error: ValidationError) -> str:
    # A union reports one fault for each of its kinds; the last part of the place is the kind.
    faults = error.errors(include_url=False, include_context=False)
    place = str(faults[0]["loc"][0]) if faults[0]["loc"] else ""
    wrong = " or ".join(
        dict.fromkeys(
            fault["msg"]
            .removeprefix("Value error, ")
            .removeprefix("Input should be ")
            .split(",")[0]
            for fault in faults
            if not place or str(fault["loc"][0]) == place
        )
    )
    if not place:
        return faults[0]["msg"].removeprefix("Value error, ")
    if faults[0]["type"] == "missing":
        return f"{place} is required"
    return f"{place} must be {wrong}, not {faults[0]['input']!r:.80}"


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def _written(parameters: dict[str, Any]) -> list[str]:
    return [f"{key}={_text(value)}" for key, value in parameters.items() if value is not None]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return "x".join(map(str, value))
    return str(value)


class Process:
    """A chain with its models at hand: a function from picture to picture, and its record.

    `tool_for` finds what performs a step that needs a model; it is called for each such step, here
    and once. With `forensic` a generative step is refused: SettingError.
    """

    def __init__(
        self, chain: Chain, tool_for: Callable[[Modelled], Tool], *, forensic: bool = False
    ) -> None:
        self.chain = chain
        if forensic:
            # Before any model is looked for: most are known to be generative by their name.
            _refuse_generative([(step.name, step.step) for step in chain.steps])
        work: list[Callable[[Image], Image]] = []
        records: list[Step] = []
        for step in chain.steps:
            if isinstance(step, Filter):
                work.append(step)
                records.append(_record(step, step.step))
            else:
                tool = tool_for(step)
                work.append(tool.run)
                records.append(_record(step, tool.origin.step, tool))
        self._work = work
        self.steps: tuple[Step, ...] = tuple(records)
        """What will have been done, in order."""
        if forensic:
            _refuse_generative([(step.name, step.step_class) for step in self.steps])

    def __call__(self, image: Image, check: Callable[[], None] | None = None) -> Image:
        """(H, W, 3) uint8 RGB to the same form; the same bytes each time on the same machine.

        `check` is called before each step; what it raises ends the work.

        Raises what its steps raise: ImageError for a picture that a step cannot be done to,
        LimitError where one is too large, or the memory too small.
        """
        check_image(image)
        for step, work in zip(self.steps, self._work, strict=True):
            if check is not None:
                check()
            try:
                image = check_image(work(image))
            except (MemoryError, cv2.error) as error:
                if isinstance(error, cv2.error) and error.code != cv2.Error.STS_NO_MEM:
                    raise
                height, width = image.shape[:2]
                raise LimitError(
                    f"not enough memory for {step.name} on {width} x {height} pixels"
                ) from error
        return image


def _record(step: Parameters, step_class: StepClass, tool: Tool | None = None) -> Step:
    done = Step(name=step.name, step_class=step_class, parameters=step.recorded())
    if tool is None:
        return done
    model, found_by = tool.origin, tool.found_by
    return done.model_copy(
        update={
            "model": model.model,
            "model_version": model.version,
            "model_sha256": model.sha256,
            "found_by": found_by.model if found_by else None,
            "found_by_sha256": found_by.sha256 if found_by else None,
        }
    )


def _refuse_generative(steps: Sequence[tuple[str, StepClass]]) -> None:
    refused = list(dict.fromkeys(name for name, step_class in steps if step_class == "generative"))
    if refused:
        raise SettingError(
            f"forensic work takes no generative step, and {' and '.join(refused)} is one: "
            "what it shows was not recorded by the camera"
        )
