"""What examining may add to faces: more pixels, estimated colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict

from facecctv.api.desk import Desk, Seen
from facecctv.api.problems import Problem
from facecctv.evidence.steps import Chain, Colourise, Enhance, Modelled, Process, Tool
from facecctv.pipeline import Enhance as EnhanceStage
from facecctv.pipeline import Pipeline
from facecctv.types import Crop, Enhanced, Face, Image
from facecctv.vision.colourise import ColouriseOptions, is_grey
from facecctv.vision.enhance import EnhanceOptions, enhance_faces

FORENSIC = "forensic refuses {}: it shows what no camera recorded"


class Improving(BaseModel):
    """What to do to the crops of faces."""

    model_config = ConfigDict(frozen=True)

    enhance: Literal["off", "x2", "x4"]
    enhance_below: float | None
    strength: float
    luminance: Literal["auto", "on", "off"]
    colourise: Literal["off", "auto", "on"]
    saturation: float
    forensic: bool
    changes: bool

    @property
    def scale(self) -> int:
        """Times that faces are enlarged; 1 where they are not enhanced."""
        return 1 if self.enhance == "off" else int(self.enhance[1:])

    def load(self, width: int, height: int) -> int:
        """Pixels of work at most, for a picture of this size."""
        return width * height * self.scale**2

    def whole(self, desk: Desk, seen: Seen, faces: Sequence[Face]) -> Process | None:
        """What makes the whole picture anew: its faces enhanced, the rest enlarged by plain
        interpolation, then coloured. None where nothing is to be done.

        Loads the models. Raises as `stages`.
        """
        steps: list[Modelled] = []
        if self.enhance != "off":
            scale, strength = self.scale, self.strength
            options = {"scale": scale, "strength": strength, "luminance": self.luminance}
            steps.append(Enhance.model_validate(options | {"faces_only": True}))
        if self.colourise == "on" or (self.colourise == "auto" and is_grey(seen.picture.image)):
            steps.append(Colourise(saturation=self.saturation, force=True))
        if not steps:
            return None
        workshop = desk.workshop.during(seen.leave.check)

        def tool(step: Modelled) -> Tool:
            made = workshop.tool(step)
            if isinstance(step, Colourise):
                return made
            if self.forensic and made.origin.step == "generative":
                raise Problem(422, FORENSIC.format(made.origin.model), reason="option")
            options = EnhanceOptions(step.strength, step.luminance)
            enhancer = workshop.enhancer(step.scale, options).enhancer
            return replace(made, run=lambda image: enhance_faces(image, faces, enhancer))

        return Process(Chain(tuple(steps)), tool)

    def stages(self, pipeline: Pipeline, desk: Desk, seen: Seen) -> Pipeline:
        """The pipeline with the stages asked for, for this one picture.

        Loads their models. Raises Problem 422 where forensic work refuses one, ModelNotFound.
        """
        if self.enhance == "off" and self.colourise == "off":
            return pipeline
        # Told by the whole picture, once, not again for every face.
        grey = is_grey(seen.picture.image)
        workshop = desk.workshop.during(seen.leave.check)
        if self.enhance != "off":
            luminance = self.luminance
            if luminance == "auto":
                luminance = "on" if grey else "off"
            options = EnhanceOptions(self.strength, luminance)
            enhancer = workshop.enhancer(self.scale, options, self.enhance_below or math.inf)
            if self.forensic and enhancer.origin.step == "generative":
                raise Problem(422, FORENSIC.format(enhancer.origin.model), reason="option")
            room = _Room(desk.limits.max_output_pixels, self.scale, enhancer.below)
            pipeline = replace(pipeline, enhance=partial(room.take, enhancer))
        if self.colourise == "on" or (self.colourise == "auto" and grey):
            colour = workshop.colouriser(ColouriseOptions(self.saturation), only_grey=False)
            pipeline = replace(pipeline, colourise=colour)
        return pipeline


class _Room:
    """Pixels that the enhanced faces of one reply may have together."""

    def __init__(self, pixels: int, scale: int, below: float) -> None:
        self._pixels, self._scale, self._below = pixels, scale, below

    def take(
        self, enhance: EnhanceStage, image: Image, crops: Sequence[Crop]
    ) -> Sequence[Enhanced | None]:
        for crop in crops:
            if crop.face.height < self._below:
                self._pixels -= crop.image.shape[0] * crop.image.shape[1] * self._scale**2
        if self._pixels < 0:
            detail = "too many large faces to enhance: set enhance_below or limit"
            raise Problem(422, detail, reason="option")
        return enhance(image, crops)


async def _improving(
    enhance: Annotated[
        Literal["off", "x2", "x4"], Query(description="Enhance faces so many times.")
    ] = "off",
    enhance_below: Annotated[
        float | None,
        Query(ge=1, le=100_000, description="Only faces lower than so many pixels; else all."),
    ] = None,
    strength: Annotated[
        float, Query(ge=0, le=1, description="0: plain interpolation; 1: all of the network.")
    ] = 1.0,
    luminance: Annotated[
        Literal["auto", "on", "off"],
        Query(description="Enhance only brightness; auto: in grey pictures."),
    ] = "auto",
    colourise: Annotated[
        Literal["off", "auto", "on"],
        Query(description="Estimate the colour of faces: of grey pictures (auto), of all, of none"),
    ] = "off",
    saturation: Annotated[
        float, Query(ge=0, le=4, description="0: grey; 1: as the network says.")
    ] = 1.0,
    forensic: Annotated[
        bool, Query(description="Refuse steps that show what no camera recorded, such as colour.")
    ] = False,
    changes: Annotated[
        bool, Query(description="Add what enhancing changed in each face as a data URL.")
    ] = False,
) -> Improving:
    if forensic and colourise != "off":
        raise Problem(422, FORENSIC.format("colourise"), reason="option")
    return Improving(
        enhance=enhance,
        enhance_below=enhance_below,
        strength=strength,
        luminance=luminance,
        colourise=colourise,
        saturation=saturation,
        forensic=forensic,
        changes=changes,
    )


ImprovingQuery = Annotated[Improving, Depends(_improving)]
UNCHANGED = Improving(
    enhance="off",
    enhance_below=None,
    strength=1.0,
    luminance="auto",
    colourise="off",
    saturation=1.0,
    forensic=False,
    changes=False,
)
"""Nothing is done to the crops."""
