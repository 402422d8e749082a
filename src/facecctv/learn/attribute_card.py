"""What the card of a network for age and gender says of it, from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from facecctv.learn.attribute_fitting import Gain
from facecctv.learn.attribute_report import AttributeReport, Row
from facecctv.learn.attribute_trials import FULL
from facecctv.models.card import Card, Metric, ModelInput, ModelOutput, Threshold, TrainingData
from facecctv.vision.attributes import FACE_PX, GENDER, TASK

SURE = 0.75
"""Probability under which a gender stays undetermined: one in four wrong at the worst."""
NAME = "face-attributes"
RECIPE = "facecctv.learn.recipes.attributes"


TRAINING_DATA = (
    TrainingData(
        name="FairFace (part)",
        licence="CC BY 4.0",
        note="19,000 aligned faces; age, gender and race as crowd workers perceived them",
    ),
    TrainingData(
        name="face-embedder",
        licence="Apache-2.0",
        note="the weights that the first layers began with; its card names their data",
    ),
    TrainingData(
        name="ImageNet sample images",
        licence="non-commercial research",
        note="scenes, no people: what is no face",
    ),
)


def attributes_card(mirror: bool, **facts: Any) -> Card:
    """The card of the network; facts are what is known only after the training."""
    extra = {"mirror": mirror} | facts.pop("extra", {})
    return Card(
        name=NAME,
        task=TASK,
        version="2",
        description="Estimates from an upright face the age and gender that people perceive in it.",
        input=ModelInput(size=(112, 112)),
        outputs=(
            ModelOutput(name="age", meaning="(N, 101), logits of the years from 0 to 100"),
            ModelOutput(name="gender", meaning='(N, 1), logit of "female"'),
        ),
        step="geometric",
        licence="Apache-2.0",
        recipe=RECIPE,
        training_data=TRAINING_DATA,
        extra=extra,
        **facts,
    )


CONDITIONS = (
    "portraits val, upright by known landmarks; under 112 px: blurred, shrunk, noise of 6 grey "
    "levels, JPEG of quality 40 to 75; 70+ taken to thin out to a third every 8 years"
)
FIGURES = {
    "mae": "age, mean error to the bin's centre, years",
    "within": "age, estimate in the labelled bin",
    "exact": "age, likeliest bin is the labelled one",
    "one_off": "age, likeliest bin is at most one off",
    "gender": "gender accuracy",
    "coverage": "age, interval holds the truth",
    "width": "age, width of the interval, years",
    "named_right": "gender accuracy where one is said",
    "named": "share of faces that a gender is said of",
}
"""Fields of a Row by their names in a card."""


def measured(told: AttributeReport) -> tuple[Metric, ...]:
    """All faces at each size, and the worst of the groups race x gender at two."""
    metrics = []
    for row in told.rows["all"]:
        conditions = f"portraits val, {row.faces} faces of {row.px} px, cross-fitted"
        metrics += [
            Metric(name=words, value=value, conditions=conditions)
            for name, words in FIGURES.items()
            if (value := getattr(row, name)) is not None
        ]
    for px in (FULL, 24):
        worst = _worst_gender(row for row in told.rows["race x gender"] if row.px == px)
        if worst is not None and worst.gender is not None:
            conditions = f"portraits val, {worst.faces} faces of {px} px: {worst.group}"
            name = "gender accuracy, worst race x gender"
            metrics.append(Metric(name=name, value=worst.gender, conditions=conditions))
    return tuple(metrics)


def _worst_gender(rows: Iterable[Row]) -> Row | None:
    known = [row for row in rows if row.gender is not None]
    return min(known, key=lambda row: row.gender or 0.0, default=None)


def thresholds(told: AttributeReport, found: Sequence[Gain], least: int) -> dict[str, Threshold]:
    """Where the product says nothing, and the error rates there."""
    rows = [told.overall(px) for px in (FULL, 24)]
    wrong = ", ".join(
        f"{row.px} px {1 - (row.named_right or 0.0):.1%} ({row.named or 0.0:.1%} named)"
        for row in rows
    )
    gained = ", ".join(
        f"{gain.px} px {gain.age:+.2f} and {gain.gender:+.2f}"
        for gain in sorted(found, key=lambda gain: gain.px)
        if gain.px <= 24
    )
    better = (
        "the smallest size of those measured from which on both beat saying the same of every "
        f"face by two standard errors (age and gender, nats a face: {gained}; portraits val)"
    )
    return {
        FACE_PX: Threshold(value=least, at=better),
        GENDER: Threshold(value=SURE, at=f"genders said and wrong: {wrong}; portraits val"),
    }


def group_table(told: AttributeReport, sizes: Sequence[int] = (FULL, 24)) -> dict[str, Any]:
    """Age band x gender x race, compact: columns and rows; null where nothing was measured."""
    columns = ["px", "group", "faces", "mae", "exact", "one_off", "gender", "coverage", "named"]
    rows = [
        [getattr(row, column) for column in columns]
        for kind in ("age", "race x gender", "age x gender x race")
        for row in told.rows[kind]
        if row.px in sizes and row.faces
    ]
    return {"columns": columns, "rows": rows}


def gain_table(found: Sequence[Gain]) -> list[dict[str, float]]:
    """By how much answers beat the prior at each size."""
    return [{name: round(value, 4) for name, value in asdict(gain).items()} for gain in found]
