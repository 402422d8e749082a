"""Losses of picture-to-picture networks, in torch. Pictures are (N, 3, H, W) float32 RGB 0..1."""

from __future__ import annotations

import torch
from torch.nn import functional


def charbonnier(a: torch.Tensor, b: torch.Tensor, epsilon: float = 1e-3) -> torch.Tensor:
    """Mean absolute difference, smooth near zero (Charbonnier et al. 1994)."""
    return torch.sqrt((a - b).square() + epsilon**2).mean()


def gradient(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the differences between neighbours: edges, not levels."""
    d = a - b
    across, down = d[..., :, 1:] - d[..., :, :-1], d[..., 1:, :] - d[..., :-1, :]
    return across.abs().mean() + down.abs().mean()


def spectrum(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the Fourier coefficients, orthonormal (Cho et al. 2021)."""
    return torch.fft.rfft2(a - b, norm="ortho").abs().mean()


def identity(
    embedder: torch.nn.Module,
    restored: torch.Tensor,
    truth: torch.Tensor,
    plain: torch.Tensor,
    lead: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance to the true person, and by how much plain interpolation is not beaten by `lead`.

    All are (N, 3, 112, 112) upright faces; similarities are cosines of unit embeddings.
    """
    with torch.no_grad():
        wanted = embedder(truth, training=False)
        reached = (embedder(plain, training=False) * wanted).sum(dim=1)
    similarity = (embedder(restored, training=False) * wanted).sum(dim=1)
    return 1 - similarity.mean(), functional.relu(reached + lead - similarity).mean()
