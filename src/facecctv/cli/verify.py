"""`facecctv verify`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from facecctv import build
from facecctv.cli import options, people
from facecctv.errors import InputError
from facecctv.identity.calibrate import RATE
from facecctv.identity.entries import Template, together
from facecctv.identity.matching import compare_templates
from facecctv.schema import Result, Verification
from facecctv.types import Decision

WORDS: dict[Decision, str] = {
    "match": "match: the same person",
    "no_match": "no match: different people",
    "inconclusive": "inconclusive",
    "insufficient_quality": "insufficient quality: too little to compare",
}


def verify(
    a: Annotated[str, typer.Argument(help="A picture with one face.", show_default=False)],
    b: Annotated[str, typer.Argument(help="Another.", show_default=False)],
    more_a: Annotated[
        list[str] | None,
        typer.Option(
            "--more-a",
            metavar="PICTURE",
            help="Another sight of the first person; may be repeated.",
        ),
    ] = None,
    more_b: Annotated[
        list[str] | None,
        typer.Option(
            "--more-b", metavar="PICTURE", help="Another sight of the second; may be repeated."
        ),
    ] = None,
    largest: people.Largest = False,
    rate: people.Rate = RATE,
    calibration: people.CalibrationFile = None,
    as_json: options.Json = False,
    model: options.Model = build.FACE_DETECTOR,
    embedder: people.Embedder = build.FACE_EMBEDDER,
) -> int:
    """Say whether two pictures show one person, and how sure that is.

    Of several sights of a person the mean counts, weighted by quality; they must show one person.
    A result is a lead, not proof: the decision is yours.
    """
    people.check_rate(rate)
    faces = people.faces(model, embedder)
    scale = people.calibration(faces, calibration)
    one, other = (
        _sights(faces, sources, largest) for sources in ((a, *(more_a or ())), (b, *(more_b or ())))
    )
    evidence, verdict = compare_templates(scale, one.template, other.template, rate)
    (judged,) = verdict.judgements
    found = Verification(
        a=one.results[0],
        b=other.results[0],
        more_a=one.results[1:] or None,
        more_b=other.results[1:] or None,
        similarity=evidence.similarity,
        false_match_rate=judged.false_match_rate,
        log10_likelihood_ratio=judged.llr,
        decision=verdict.decision,
    )
    print(found.to_json() if as_json else _describe(found))
    return 0


@dataclass(frozen=True)
class _Sights:
    """One person's pictures."""

    results: tuple[Result, ...]
    template: Template


def _sights(faces: people.Faces, sources: Sequence[str], largest: bool) -> _Sights:
    results, templates = [], []
    for source in sources:
        try:
            picture, portrait = faces.one(source, largest)
        except InputError as error:
            raise people.named(source, error) from error
        results.append(people.result(source, picture, [portrait]))
        templates.append(people.template(picture, portrait))
    return _Sights(tuple(results), together(templates))


def _describe(found: Verification) -> str:
    heights = [
        ", ".join(f"{one.faces[0].box.y_max - one.faces[0].box.y_min:.0f}" for one in side)
        for side in ((found.a, *(found.more_a or ())), (found.b, *(found.more_b or ())))
    ]
    lines = [WORDS[found.decision]]
    if found.decision != "insufficient_quality":
        lines += [
            f"similarity            {found.similarity:.3f}",
            f"false-match rate      {found.false_match_rate:.2g} of different people are so alike",
            f"likelihood ratio      10^{found.log10_likelihood_ratio:.1f}",
        ]
    return "\n".join([*lines, f"faces                 {heights[0]} and {heights[1]} px high"])
