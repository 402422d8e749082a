"""Query parameters that several routes share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict

from facecctv.api.desk import Desk, Workshop
from facecctv.api.problems import Problem
from facecctv.pipeline import Pipeline
from facecctv.types import Body, Face, Image
from facecctv.vision.detect import DetectOptions

PictureFormat = Literal["png", "jpeg", "webp"]


class Looking(BaseModel):
    """How to look for faces."""

    model_config = ConfigDict(frozen=True)

    threshold: float | None
    min_face: float
    tiles: Literal["auto", "off"]
    margin: float
    limit: int | None

    def pipeline(self, desk: Desk) -> Pipeline:
        """One with these options."""
        options = DetectOptions(threshold=self.threshold, min_face=self.min_face, tiles=self.tiles)
        return desk.workshop.pipeline(options, self.margin)

    def faces(self, desk: Desk, pipeline: Pipeline, image: Image) -> list[Face]:
        """The best faces of a picture, no more than the limit; Problem 422 for too much at once."""
        most = desk.limits.max_untiled_pixels
        if self.tiles == "off" and image.shape[0] * image.shape[1] > most:
            raise Problem(422, f"tiles=off is for pictures of up to {most:,} pixels")
        found = pipeline.detect(image)
        return list(found)[: min(self.limit or desk.limits.max_faces, desk.limits.max_faces)]

    def bodies(
        self, workshop: Workshop, image: Image, faces: Sequence[Face], most: int
    ) -> list[Body]:
        """The best bodies of a picture, no more than `most`, each linked to its face.

        Raises ModelNotFound where there is no body detector.
        """
        return workshop.bodies(DetectOptions(tiles=self.tiles))(image, faces)[:most]


async def _looking(
    threshold: Annotated[
        float | None,
        Query(ge=0.001, le=0.999, description="Least score of a face; else the model's own."),
    ] = None,
    min_face: Annotated[
        float, Query(ge=0, le=100_000, description="Least height of a face, pixels.")
    ] = 0.0,
    tiles: Annotated[
        Literal["auto", "off"],
        Query(description="`off` looks at the picture whole; for small pictures only."),
    ] = "auto",
    margin: Annotated[
        float, Query(ge=0, le=2, description="Around each crop, as a share of the face's sides.")
    ] = 0.35,
    limit: Annotated[
        int | None, Query(ge=1, le=1_000_000, description="Report at most so many, the best.")
    ] = None,
) -> Looking:
    return Looking(threshold=threshold, min_face=min_face, tiles=tiles, margin=margin, limit=limit)


LookingQuery = Annotated[Looking, Depends(_looking)]


BodiesQuery = Annotated[
    bool,
    Query(
        description="Find people too, faces visible or not, and say whose face is whose. "
        "503 where the body detector is not installed."
    ),
]


class Showing(BaseModel):
    """Which pictures go into the reply."""

    model_config = ConfigDict(frozen=True)

    crops: bool
    annotated: bool
    format: PictureFormat


async def _showing(
    crops: Annotated[
        bool, Query(description="Add each face's native pixels as a data URL.")
    ] = False,
    annotated: Annotated[
        bool, Query(description="Add the picture with what was found outlined as a data URL.")
    ] = False,
    format: Annotated[PictureFormat, Query(description="Of those data URLs.")] = "png",
) -> Showing:
    return Showing(crops=crops, annotated=annotated, format=format)


ShowingQuery = Annotated[Showing, Depends(_showing)]
