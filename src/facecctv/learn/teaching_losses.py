"""Losses of the networks that users teach themselves, as Keras losses over torch tensors."""

from __future__ import annotations

from typing import Any, Literal

import keras
import torch

from facecctv.errors import SettingError
from facecctv.learn.losses import giou

BoxKind = Literal["squared", "absolute", "giou"]
Mining = Literal["semi-hard", "hard", "all"]


class LocalisationLoss(keras.losses.Loss):
    """How far a box is from the true one; a true box without area means no face and costs nothing.

    `squared`: squared differences of both corners plus squared differences of width and height.
    `absolute`: the same without squaring. `giou`: 1 - generalised IoU (Rezatofighi et al. 2019).
    The mean is over the pictures that have a face.
    """

    def __init__(self, kind: BoxKind = "squared", **kwargs: Any) -> None:
        super().__init__(reduction="none", **{"name": "localisation", **kwargs})
        if kind not in ("squared", "absolute", "giou"):
            raise SettingError(f"the box loss is squared, absolute or giou, not {kind!r}")
        self.kind = kind

    def call(self, y_true: torch.Tensor, y_pred: torch.Tensor) -> torch.Tensor:
        """(N, 4), (N, 4) x1 y1 x2 y2 -> a number."""
        size_true, size_pred = y_true[:, 2:] - y_true[:, :2], y_pred[:, 2:] - y_pred[:, :2]
        has_face = (size_true > 0).all(dim=1).to(y_pred.dtype)
        if self.kind == "giou":
            each = 1 - giou(y_pred, y_true)
        else:
            error = torch.cat([y_true - y_pred, size_true - size_pred], dim=1)
            each = (error.square() if self.kind == "squared" else error.abs()).sum(dim=1)
        return (each * has_face).sum() / has_face.sum().clamp(min=1)


class ContrastiveLoss(keras.losses.Loss):
    """Pulls pairs of one person together and pushes others apart up to a margin.

    y d^2 + (1 - y) max(0, margin - d)^2, after Hadsell, Chopra and LeCun, "Dimensionality reduction
    by learning an invariant mapping" (2006), without their factor of a half.
    """

    def __init__(self, margin: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**{"name": "contrastive", **kwargs})
        self.margin = margin

    def call(self, y_true: torch.Tensor, y_pred: torch.Tensor) -> torch.Tensor:
        """(N, 1) 1 for the same person, (N, 1) distances -> (N,)."""
        apart = (self.margin - y_pred).clamp(min=0)
        return (y_true * y_pred.square() + (1 - y_true) * apart.square()).mean(dim=-1)


class TripletLoss(keras.losses.Loss):
    """A person's pictures are nearer to each other than to anybody else's, by a margin.

    max(0, d(anchor, positive) - d(anchor, negative) + margin) over triplets mined in the batch:

    `semi-hard`: every anchor and positive with the nearest negative that is farther than the
    positive, or the farthest negative if none is (Schroff et al. 2015, "FaceNet").
    `hard`: every anchor with its farthest positive and nearest negative (Hermans et al. 2017).
    `all`: every triplet, averaged over those that still cost something.
    """

    def __init__(
        self,
        margin: float = 0.3,
        mining: Mining = "semi-hard",
        distance: str = "euclidean",
        **kwargs: Any,
    ) -> None:
        super().__init__(reduction="none", **{"name": "triplet", **kwargs})
        if mining not in ("semi-hard", "hard", "all"):
            raise SettingError(f"mining is semi-hard, hard or all, not {mining!r}")
        self.margin, self.mining, self.distance = margin, mining, distance

    def call(self, y_true: torch.Tensor, y_pred: torch.Tensor) -> torch.Tensor:
        """(N,) or (N, 1) person numbers, (N, D) unit embeddings -> a number."""
        labels = y_true.reshape(-1)
        table = distance_table(y_pred, self.distance)
        same = labels[:, None] == labels[None, :]
        positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=same.device)
        if self.mining == "hard":
            return self._hard(table, positive, ~same)
        if self.mining == "semi-hard":
            return self._semi_hard(table, positive, ~same)
        cost = (table[:, :, None] - table[:, None, :] + self.margin).clamp(min=0)
        cost = cost * (positive[:, :, None] & ~same[:, None, :])
        return cost.sum() / (cost > 0).sum().clamp(min=1)

    def _hard(self, table: Any, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        farthest = table.masked_fill(~positive, -torch.inf).amax(dim=1)
        nearest = table.masked_fill(~negative, torch.inf).amin(dim=1)
        usable = positive.any(dim=1) & negative.any(dim=1)
        cost = torch.where(usable, farthest - nearest + self.margin, 0.0).clamp(min=0)
        return cost.sum() / usable.sum().clamp(min=1)

    def _semi_hard(
        self, table: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> torch.Tensor:
        chosen = semi_hard_negatives(table, negative)
        usable = positive & negative.any(dim=1, keepdim=True)
        cost = torch.where(usable, table - table.gather(1, chosen) + self.margin, 0.0)
        return cost.clamp(min=0).sum() / usable.sum().clamp(min=1)


def distance_table(embeddings: torch.Tensor, distance: str) -> torch.Tensor:
    """(N, D) unit embeddings -> (N, N) Euclidean or cosine distances."""
    cosine = 1 - embeddings @ embeddings.T
    # For unit vectors |a - b|^2 = 2 (1 - a . b); the root has no slope at zero.
    return cosine if distance == "cosine" else (2 * cosine).clamp(min=1e-9).sqrt()


def semi_hard_negatives(table: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """(N, N) distances, (N, N) who is a negative of whom -> (N, N) the negative for each pair.

    Entry (a, p) is the nearest negative of a that is farther than p, or else its farthest negative.
    """
    farther = negative[:, None, :] & (table[:, None, :] > table[:, :, None])
    outside = table[:, None, :].masked_fill(~farther, torch.inf)
    farthest = table.masked_fill(~negative, -torch.inf).argmax(dim=1, keepdim=True)
    return torch.where(farther.any(dim=2), outside.argmin(dim=2), farthest)
