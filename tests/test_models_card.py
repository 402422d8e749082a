from __future__ import annotations

import json
import math
from contextlib import suppress

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from facecctv.errors import ModelError
from facecctv.models.card import (
    KEY,
    Card,
    Metric,
    ModelInput,
    ModelOutput,
    Threshold,
    TrainingData,
    read_metadata,
)
from tests.tiny_models import a_card, a_model

finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
cards = st.builds(
    Card,
    name=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True),
    task=st.text(min_size=1, max_size=20),
    version=st.text(min_size=1, max_size=20),
    description=words,
    input=st.builds(
        ModelInput,
        mean=st.tuples(finite, finite, finite),
        std=st.just((0.5, 0.25, 1e-9)),
        multiple_of=st.integers(1, 64),
        size=st.none(),
    ),
    outputs=st.lists(st.builds(ModelOutput, name=words, meaning=words), min_size=1, max_size=3),
    step=st.sampled_from(["geometric", "photometric", "multi_frame", "learned", "generative"]),
    licence=st.text(min_size=1, max_size=20),
    thresholds=st.dictionaries(words, st.builds(Threshold, value=finite, at=words), max_size=3),
    training_data=st.lists(st.builds(TrainingData, name=words, licence=words), max_size=2),
    metrics=st.lists(st.builds(Metric, name=words, value=finite, conditions=words), max_size=2),
    extra=st.dictionaries(words, json_values, max_size=3),
)


@given(cards)
def test_a_card_survives_the_round_trip(card: Card) -> None:
    metadata = card.to_metadata()
    assert metadata["name"] == card.name
    assert metadata["version"] == card.version
    assert Card.from_metadata(metadata) == card


@given(cards)
def test_a_card_survives_the_round_trip_through_a_model_file(card: Card) -> None:
    assert Card.from_model(a_model(card.to_metadata())) == card


@given(st.dictionaries(words, words, max_size=4))
def test_metadata_is_read_as_onnx_reads_it(metadata: dict[str, str]) -> None:
    model = a_model(metadata)
    theirs = {p.key: p.value for p in onnx.load_from_string(model).metadata_props}
    assert read_metadata(model) == theirs == metadata


def test_no_bytes_have_no_metadata() -> None:
    assert read_metadata(b"") == {}
    with pytest.raises(ModelError, match="no card"):
        Card.from_model(b"")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(junk: bytes) -> None:
    with suppress(ModelError):
        assert isinstance(read_metadata(junk), dict)


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_truncated_model_is_refused(cut: int) -> None:
    model = a_model(a_card().to_metadata())
    with pytest.raises(ModelError):
        Card.from_model(model[:-cut])


def edited(**changes: object) -> dict[str, str]:
    value = json.loads(a_card().to_metadata()[KEY]) | changes
    return {KEY: json.dumps(value)}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "carries no card"),
        ({"name": "tiny"}, "carries no card"),
        ({KEY: ""}, "not JSON"),
        ({KEY: "{"}, "not JSON"),
        ({KEY: "[" * 100_000}, "not JSON"),
        ({KEY: "[]"}, "not a JSON object"),
        ({KEY: "{}"}, "schema None"),
        (edited(schema=2), "schema 2; this version reads 1"),
        (edited(schema="1"), "schema '1'"),
        (edited(schema=True), "schema True"),
        (edited(name="../evil"), "name: "),
        (edited(name=""), "name: "),
        (edited(step="magic"), "step: "),
        (edited(outputs=[]), "outputs: "),
        (edited(shape=[1, 2]), "shape: "),
        (edited(input={"std": [1, 0, 1]}), "std must be positive"),
        (edited(input={"mean": [0.5]}), "3 values for RGB"),
        (edited(input={"value_range": [1, 0]}), "value_range must rise"),
        (edited(input={"multiple_of": 0}), "multiple_of"),
        (edited(input={"multiple_of": 32, "size": [112, 112]}), "multiples of 32"),
        (edited(extra={"x": math.nan}), "not JSON"),
        ({**a_card().to_metadata(), "name": "other"}, "disagree on its name"),
        ({**a_card().to_metadata(), "version": "9"}, "disagree on its version"),
    ],
)
def test_a_bad_card_is_one_line(metadata: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        Card.from_metadata(metadata)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_json_cannot_hold_never_enter_a_card(value: float) -> None:
    with pytest.raises(ValidationError):
        a_card(extra={"x": [value]})
    with pytest.raises(ValidationError):
        Threshold(value=value, at="")


def test_a_card_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        a_card().name = "other"


def test_thresholds_are_asked_for_by_name() -> None:
    card = a_card(thresholds={"default": Threshold(value=0.4, at="0.1 false positives a picture")})
    assert card.threshold() == 0.4
    with pytest.raises(ModelError, match="no threshold 'strict'"):
        card.threshold("strict")


def test_grey_networks_have_one_mean() -> None:
    assert ModelInput(colour="Y", mean=(0.5,), std=(0.5,)).mean == (0.5,)
