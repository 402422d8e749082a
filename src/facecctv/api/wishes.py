"""Query parameters of the routes about videos."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query

from facecctv.api.filming import FootageWishes, RedactWishes
from facecctv.footage.redact import RedactOptions
from facecctv.vision.detect import DetectOptions


async def _looking(
    threshold: Annotated[
        float | None,
        Query(ge=0.001, le=0.999, description="Score of a sure face; else the model's own."),
    ] = None,
    min_face: Annotated[
        float, Query(ge=0, le=100_000, description="Least height of a face, pixels.")
    ] = 0.0,
) -> DetectOptions:
    return DetectOptions(threshold=threshold, min_face=min_face)


LookingQuery = Annotated[DetectOptions, Depends(_looking)]


async def _footage(
    looking: LookingQuery,
    max_latency: Annotated[
        float,
        Query(ge=0, le=10, description="Footage: seconds until a new face is noticed, at most."),
    ] = 0.2,
    fuse: Annotated[
        Literal["x2", "x4", "off"],
        Query(description="Footage: one face of a person's best sights, so many times as large."),
    ] = "x2",
    enhance: Annotated[
        Literal["x2", "x4", "off"], Query(description="Footage: enhance each person's face.")
    ] = "off",
    forensic: Annotated[
        bool, Query(description="Footage: refuse an enhancer that is generative.")
    ] = False,
) -> FootageWishes:
    return FootageWishes(looking, max_latency, _times(fuse), _times(enhance), forensic)


def _times(text: str) -> int | None:
    return None if text == "off" else int(text[1:])


async def _redacting(
    looking: LookingQuery,
    style: Annotated[
        Literal["solid", "blur", "mosaic"],
        Query(description="Redact: only solid covers give nothing away."),
    ] = "solid",
    margin: Annotated[
        float, Query(ge=0, le=2, description="Redact: around each face, as a share of its sides.")
    ] = 0.25,
    hold: Annotated[
        float, Query(ge=0, le=60, description="Redact: seconds a cover stays before and after.")
    ] = 0.5,
    sound: Annotated[bool, Query(description="Redact: keep the sound.")] = True,
    check: Annotated[
        float,
        Query(ge=0, le=60, description="Redact: seconds between looks at the result; 0: all."),
    ] = 0.2,
) -> RedactWishes:
    return RedactWishes(RedactOptions(style, margin, hold), looking, sound, check)


FootageQuery = Annotated[FootageWishes, Depends(_footage)]
RedactQuery = Annotated[RedactWishes, Depends(_redacting)]
