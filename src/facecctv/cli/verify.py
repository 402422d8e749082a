"""`facecctv verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from facecctv import build
from facecctv.cli import options, people
from facecctv.errors import InputError
from facecctv.identity.calibrate import RATE
from facecctv.identity.matching import compare
from facecctv.image import Picture
from facecctv.schema import Verification
from facecctv.types import Decision, Portrait

WORDS: dict[Decision, str] = {
    "match": "match: the same person",
    "no_match": "no match: different people",
    "inconclusive": "inconclusive",
    "insufficient_quality": "insufficient quality: too little to compare",
}


def verify(
    a: Annotated[str, typer.Argument(help="A picture with one face.", show_default=False)],
    b: Annotated[str, typer.Argument(help="Another.", show_default=False)],
    largest: people.Largest = False,
    rate: people.Rate = RATE,
    calibration: people.CalibrationFile = None,
    as_json: options.Json = False,
    model: options.Model = build.FACE_DETECTOR,
    embedder: people.Embedder = build.FACE_EMBEDDER,
) -> int:
    """Say whether two pictures show one person, and how sure that is.

    A result is a lead, not proof: the decision is yours.
    """
    people.check_rate(rate)
    faces = people.faces(model, embedder)
    scale = people.calibration(faces, calibration)
    shots = [_one(faces, source, largest) for source in (a, b)]
    (first, one), (second, other) = shots
    evidence, verdict = compare(scale, one, other, rate)
    (judged,) = verdict.judgements
    found = Verification(
        a=people.result(a, first, [one]),
        b=people.result(b, second, [other]),
        similarity=evidence.similarity,
        false_match_rate=judged.false_match_rate,
        log10_likelihood_ratio=judged.llr,
        decision=verdict.decision,
    )
    print(found.to_json() if as_json else _describe(found))
    return 0


def _one(faces: people.Faces, source: str, largest: bool) -> tuple[Picture, Portrait]:
    try:
        return faces.one(source, largest)
    except InputError as error:
        raise people.named(source, error) from error


def _describe(found: Verification) -> str:
    heights = [one.faces[0].box.y_max - one.faces[0].box.y_min for one in (found.a, found.b)]
    lines = [WORDS[found.decision]]
    if found.decision != "insufficient_quality":
        lines += [
            f"similarity            {found.similarity:.3f}",
            f"false-match rate      {found.false_match_rate:.2g} of different people are so alike",
            f"likelihood ratio      10^{found.log10_likelihood_ratio:.1f}",
        ]
    return "\n".join(
        [*lines, f"faces                 {heights[0]:.0f} and {heights[1]:.0f} px high"]
    )
