"""Losses, in torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class DetectionLoss:
    """Score, box and landmark loss of a detector with task-aligned assignment.

    Score: quality focal loss (Li et al. 2020), whose target is the overlap the prediction reaches.
    Box: generalised IoU loss (Rezatofighi et al. 2019). Landmarks: mean distance over face size.
    """

    box: float = 2.0
    landmarks: float = 2.0
    positives: int = 6
    """Predictions that answer for a box, at most."""

    def __call__(
        self,
        raw: torch.Tensor,
        points: torch.Tensor,
        strides: torch.Tensor,
        batch: dict[str, torch.Tensor],
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Returns the loss and its parts.

        Args:
            raw: (N, A, 15) float32 predictions in grid order.
            points: (A, 2) of the grid.
            strides: (A,) of the grid.
            batch: boxes (G, 4), landmarks (G, 5, 2), candidates (G, 36) into the flattened N * A,
                silent (N, A).
        """
        flat = raw.reshape(-1, raw.shape[-1])
        logits = flat[:, 0]
        target = torch.zeros_like(logits)
        box_loss = landmark_loss = logits.sum() * 0
        boxes, candidates = batch["boxes"], batch["candidates"]
        if len(boxes):
            group, index, goal = self._assign(flat, points, strides, boxes, candidates)
            target[index] = goal
            wide, (p, s) = flat[index], (points[index % len(points)], strides[index % len(points)])
            total = goal.sum().clamp(min=1.0)
            box_loss = ((1 - giou(decode(wide, p, s), boxes[group])) * goal).sum() / total
            landmark_loss = self._landmarks(wide, p, s, batch, group, goal)
        weight = (target - logits.sigmoid()).abs().square()
        weight = weight * ~(batch["silent"].reshape(-1) & (target == 0))
        score = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        score_loss = (score * weight.detach()).sum() / target.sum().clamp(min=1.0)
        loss = score_loss + self.box * box_loss + self.landmarks * landmark_loss
        parts = {"score": score_loss, "box": box_loss, "landmarks": landmark_loss}
        return loss, {name: float(value.detach()) for name, value in parts.items()}

    @torch.no_grad()
    def _assign(
        self,
        flat: torch.Tensor,
        points: torch.Tensor,
        strides: torch.Tensor,
        boxes: torch.Tensor,
        candidates: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns box number, flat grid index and score target of each positive prediction."""
        valid = candidates >= 0
        index = candidates.clamp(min=0)
        within = index % len(points)
        predicted = flat[index]
        overlap = iou(decode(predicted, points[within], strides[within]), boxes[:, None])
        overlap = overlap.clamp(0, 1)
        centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
        size = (boxes[:, None, 2:] - boxes[:, None, :2]).amax(dim=2)
        distance = (points[within] - centres).norm(dim=2) / size.clamp(min=4)
        # Nearness breaks ties while the network still knows nothing.
        fit = predicted[..., 0].sigmoid().sqrt() * overlap.pow(3) + 1e-3 * torch.exp(-distance)
        fit = fit.masked_fill(~valid, -1)
        best, place = fit.topk(min(self.positives, fit.shape[1]), dim=1)
        chosen = index.gather(1, place)
        reach = overlap.gather(1, place)
        group = torch.arange(len(boxes))[:, None].expand_as(chosen)
        goal = reach.amax(dim=1, keepdim=True) * (best / best[:, :1].clamp(min=1e-9))
        goal = goal.clamp(min=0.05)
        real = best > 0
        group, chosen, goal, best = group[real], chosen[real], goal[real], best[real]
        # A prediction wanted by two boxes answers for the one it fits best.
        top = torch.zeros(len(flat)).scatter_reduce(0, chosen, best, "amax")
        winner = best >= top[chosen]
        return group[winner], chosen[winner], goal[winner]

    @staticmethod
    def _landmarks(
        wide: torch.Tensor,
        points: torch.Tensor,
        strides: torch.Tensor,
        batch: dict[str, torch.Tensor],
        group: torch.Tensor,
        goal: torch.Tensor,
    ) -> torch.Tensor:
        if wide.shape[1] < 15:
            return wide.sum() * 0
        true = batch["landmarks"][group]
        known = ~true.isnan().flatten(1).any(dim=1)
        predicted = points[:, None] + wide[:, 5:].reshape(-1, 5, 2) * strides[:, None, None]
        boxes = batch["boxes"][group]
        size = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt().clamp(min=6)
        error = (predicted - true.nan_to_num()).abs().mean(dim=(1, 2)) / size
        # The points of a face of a few pixels are guesses: precision is learnt from larger ones.
        weight = goal * known * (size / 24).clamp(0.25, 2)
        return (error * weight).sum() / weight.sum().clamp(min=1.0) * 5


def decode(raw: torch.Tensor, points: torch.Tensor, strides: torch.Tensor) -> torch.Tensor:
    """(..., 15) raw -> (..., 4) boxes; the same rule as `vision.anchors.decode_boxes`."""
    centres = points + raw[..., 1:3] * strides[..., None]
    half = raw[..., 3:5].clamp(-5, 5).exp() * strides[..., None]
    return torch.cat([centres - half, centres + half], dim=-1)


def _overlaps(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    inner = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(0)
    shared = inner.prod(dim=-1)
    areas = [(box[..., 2:] - box[..., :2]).clamp(0).prod(dim=-1) for box in (a, b)]
    return shared, (areas[0] + areas[1] - shared).clamp(min=1e-6)


def iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Elementwise intersection over union of (..., 4) boxes, broadcast."""
    shared, union = _overlaps(a, b)
    return shared / union


def giou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Elementwise generalised IoU of (..., 4) boxes, -1..1."""
    shared, union = _overlaps(a, b)
    outer = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    hull = outer.clamp(0).prod(dim=-1).clamp(min=1e-6)
    return shared / union - (hull - union) / hull
