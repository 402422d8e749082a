"""What a chain of steps may hold: `GET /v1/steps`, for those who build chains on a page."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from facecctv.api import documents
from facecctv.api.desk import Desk
from facecctv.evidence.steps import KNOWN
from facecctv.types import StepClass
from facecctv.vision.filters import Parameters

Kind = Literal["number", "integer", "switch", "choice", "point"]


class Parameter(BaseModel):
    """One setting of a step."""

    name: str
    kind: Kind
    """`switch` is on or off; `point` is written as 120.5x80, pixels of the picture."""
    required: bool
    default: JsonValue = None
    """None: left out, the step decides."""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    """Words that stand for a value; of a number, instead of one."""


class KnownStep(BaseModel):
    """One step that a chain may hold."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: str
    step_class: StepClass = Field(alias="class")
    """Of the usual model, where there is one."""
    parameters: tuple[Parameter, ...]


def routes(desk: Desk) -> APIRouter:
    """The one route; it is the same on every server of this version."""
    router = APIRouter(tags=["server"], responses=documents.PLAIN_FAILURES)
    known = [_described(kind) for kind in KNOWN.values()]

    @router.get("/v1/steps", summary="Steps of a chain")
    async def steps() -> list[KnownStep]:
        """Every step with its settings, as `POST /v1/enhance?steps=…` takes them."""
        return known

    return router


def _described(kind: type[Parameters]) -> KnownStep:
    schema = kind.model_json_schema()
    required = schema.get("required", ())
    return KnownStep.model_validate(
        {
            "name": kind.name,
            "class": kind.step,
            "parameters": [
                _parameter(name, facts, name in required)
                for name, facts in schema["properties"].items()
            ],
        }
    )


def _parameter(name: str, facts: dict[str, Any], required: bool) -> Parameter:
    # A union's kinds stand side by side: a number, or a word in its place, or nothing.
    kinds = [kind for kind in facts.get("anyOf", [facts]) if kind["type"] != "null"]
    words = [word for kind in kinds for word in _words(kind)]
    number: dict[str, Any] = next(
        (kind for kind in kinds if kind["type"] in ("number", "integer")), {}
    )
    if all(isinstance(word, int) for word in words):
        # A number with few values, such as the scale of an enhancer, is a choice of words.
        number = {} if words else number
    return Parameter(
        name=name,
        kind=_kind(kinds[0], number),
        required=required,
        default=facts.get("default"),
        minimum=number.get("minimum", number.get("exclusiveMinimum")),
        maximum=number.get("maximum", number.get("exclusiveMaximum")),
        choices=tuple(map(str, words)),
    )


def _words(kind: dict[str, Any]) -> list[object]:
    return list(kind.get("enum", [kind["const"]] if "const" in kind else []))


def _kind(first: dict[str, Any], number: dict[str, Any]) -> Kind:
    if number:
        return "integer" if number["type"] == "integer" else "number"
    if first["type"] == "boolean":
        return "switch"
    return "point" if first["type"] == "array" else "choice"
