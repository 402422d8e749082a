"""How alike two embeddings are, by the rule that a recogniser's card names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from facecctv.errors import ModelError
from facecctv.models.card import Card
from facecctv.types import Floats

TASK = "face-embedder"

Kind = Literal["euclidean", "cosine", "weighted"]
Crop = Literal["aligned", "box", "whole"]


@dataclass(frozen=True)
class Comparison:
    """A rule for pairs of unit-length embeddings; the card keeps it under `comparison`.

    `euclidean`: 1 - distance / 2. `cosine`: the inner product. `weighted`: a classifier on the
    absolute difference, sigmoid(bias + sqrt(D) * weights . |a - b|).
    """

    kind: Kind = "cosine"
    weights: tuple[float, ...] = ()
    bias: float = 0.0

    def __call__(self, a: Floats, b: Floats) -> Floats:
        """(P, D), (P, D) -> (P,) similarity, higher for the same person."""
        if self.kind == "cosine":
            result = np.sum(a * b, axis=1)
        elif self.kind == "euclidean":
            result = 1 - np.sqrt(np.sum(np.square(a - b), axis=1)) / 2
        else:
            scaled = np.abs(a - b) * np.sqrt(a.shape[1])
            logit = scaled @ np.array(self.weights, np.float32) + self.bias
            result = 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
        return np.asarray(result, np.float32)

    def to_json(self) -> dict[str, object]:
        """For `Card.extra`."""
        facts: dict[str, object] = {"kind": self.kind}
        if self.kind == "weighted":
            facts |= {"weights": list(self.weights), "bias": self.bias}
        return facts


def comparison_of(card: Card) -> Comparison:
    """The rule of a recogniser's card, cosine where it names none; ModelError for nonsense."""
    if card.task != TASK:
        raise ModelError(f"{card.name} is a {card.task}, not a {TASK}")
    facts = card.extra.get("comparison", {"kind": "cosine"})
    if not isinstance(facts, dict) or facts.get("kind") not in ("euclidean", "cosine", "weighted"):
        raise ModelError(f"the card of {card.name} names no known comparison")
    weights, bias = facts.get("weights", []), facts.get("bias", 0.0)
    if not isinstance(weights, list) or not isinstance(bias, int | float):
        raise ModelError(f"the card of {card.name} has a comparison without weights")
    numbers = tuple(float(w) for w in weights if isinstance(w, int | float))
    kind: Kind = facts["kind"]  # type: ignore[assignment]
    return Comparison(kind, numbers, float(bias))


def crop_of(card: Card) -> Crop:
    """How the card's faces were cut out: `aligned` by landmarks, by `box`, or `whole` pictures."""
    crop = card.extra.get("crop", "aligned")
    if crop not in ("aligned", "box", "whole"):
        raise ModelError(f"the card of {card.name} names no known crop: {crop!r}")
    return crop  # type: ignore[return-value]
