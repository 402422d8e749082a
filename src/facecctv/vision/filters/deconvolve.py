"""Blurs as point spread functions, and two classic ways to undo them.

All kernels here are symmetric about their centre, so convolution and correlation are one.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Spectrum: TypeAlias = npt.NDArray[np.complexfloating]

_FINE = 8
"""Points a pixel and axis at which a kernel is sampled."""
_CAUTION = (8, 4, 2)
"""Times the noise that a frame is restored with, while it is still a guess."""
_DARKEST = np.float32(1e-3)
"""Grey levels: keeps a quotient of two blacks from growing without bound."""


def gauss(sigma: float) -> Floats:
    """(k, k) float32, sum 1: a Gaussian of this standard deviation, pixels, cut at four of them."""
    side = 2 * math.ceil(4 * sigma) + 1
    line = np.ravel(cv2.getGaussianKernel(side, sigma, cv2.CV_32F))
    return np.outer(line, line).astype(np.float32)


def disk(radius: float) -> Floats:
    """(k, k) float32, sum 1: a disk of this radius, pixels, its rim weighted by area covered."""
    side = 2 * math.ceil(radius) + 1
    at = (np.arange(side * _FINE) + 0.5) / _FINE - side / 2
    inside = np.hypot(at[:, None], at[None, :]) <= radius
    shares = inside.reshape(side, _FINE, side, _FINE).mean(axis=(1, 3))
    return np.asarray(shares / shares.sum(), np.float32)


def motion(length: float, angle: float) -> Floats:
    """(k, k) float32, sum 1: a straight line of this length, pixels.

    The angle is in degrees, 0 level, clockwise as seen. Each point of the line is shared out to the
    four pixels around it.
    """
    middle = math.ceil(length / 2) + 1
    count = math.ceil(length * _FINE)
    along = ((np.arange(count) + 0.5) / count - 0.5) * length
    x = along * math.cos(math.radians(angle)) + middle
    y = along * math.sin(math.radians(angle)) + middle
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    kernel = np.zeros((2 * middle + 1, 2 * middle + 1))
    for down in (0, 1):
        for right in (0, 1):
            share = (1 - np.abs(y - row - down)) * (1 - np.abs(x - column - right))
            np.add.at(kernel, (row + down, column + right), share)
    # Points that fall on the line's two halves alike may round apart in the last digit.
    kernel += kernel[::-1, ::-1]
    return np.asarray(kernel / kernel.sum(), np.float32)


def wiener(plane: Floats, psf: Floats, noise: float) -> Floats:
    """Wiener's filter for white noise of this standard deviation, in units of the plane.

    (H, W) float32 to the same, unclipped. The spectrum that the filter needs is not known; taken is
    that of pictures in general, whose power falls with the square of the frequency (Field,
    "Relations between the statistics of natural images and the response properties of cortical
    cells", 1987), at this plane's own variance. What light came from beyond the edges is not known
    either: a frame is guessed, restored cautiously, blurred again, and so made to fit the picture.
    Wiener, "Extrapolation, Interpolation, and Smoothing of Stationary Time Series", 1949.
    """
    spread = float(plane.var())
    if not spread:
        return plane.copy()
    mean = plane.mean()
    framed, inner = _framed(plane - mean, len(psf))
    blur = np.fft.rfft2(_at_origin(psf, framed.shape))
    rest = _noise_to_signal(framed.shape, spread)
    for caution in _CAUTION:
        sharp = np.fft.rfft2(framed) * _gain(blur, rest * (caution * noise) ** 2)
        framed = np.fft.irfft2(sharp * blur, s=framed.shape).astype(np.float32)
        framed[inner] = plane - mean
    sharp = np.fft.rfft2(framed) * _gain(blur, rest * noise**2)
    return np.asarray(np.fft.irfft2(sharp, s=framed.shape)[inner] + mean, np.float32)


def _framed(plane: Floats, margin: int) -> tuple[Floats, tuple[slice, slice]]:
    """The plane with a mirrored frame that fades out, and where in it the plane is.

    The transform takes it for a tile of an endless pattern: fading hides the joint.
    """
    height, width = plane.shape
    below = cv2.getOptimalDFTSize(height + 2 * margin) - height - margin
    right = cv2.getOptimalDFTSize(width + 2 * margin) - width - margin
    framed = cv2.copyMakeBorder(plane, margin, below, margin, right, cv2.BORDER_REFLECT)
    fade = _fade(height, margin, below)[:, None] * _fade(width, margin, right)[None, :]
    inner = (slice(margin, margin + height), slice(margin, margin + width))
    return np.asarray(framed * fade, np.float32), inner


def _noise_to_signal(shape: tuple[int, ...], spread: float) -> Floats:
    """Noise of variance 1 against a picture of this variance, at each frequency of the transform.

    Parseval: the mean of the signal's power over all frequencies but 0 is its variance.
    """
    rows, columns = shape
    squared = (
        np.square(np.fft.fftfreq(rows))[:, None] + np.square(np.fft.rfftfreq(columns))[None, :]
    )
    return np.asarray(squared * ((1 / squared.ravel()[1:]).mean() / spread), np.float32)


def _gain(blur: Spectrum, noise_to_signal: Floats) -> Spectrum:
    return np.asarray(np.conj(blur) / (np.square(np.abs(blur)) + noise_to_signal))


def _fade(length: int, before: int, after: int) -> Floats:
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(before) + 0.5) / before)
    fall = 0.5 + 0.5 * np.cos(np.pi * (np.arange(after) + 0.5) / after)
    return np.concatenate([rise, np.ones(length), fall]).astype(np.float32)


def _at_origin(psf: Floats, shape: tuple[int, ...]) -> Floats:
    """The kernel in a plane of this size, its centre at the first pixel, the rest wrapped round."""
    plane = np.zeros(shape, np.float32)
    side = len(psf)
    plane[:side, :side] = psf
    return np.roll(plane, (-(side // 2), -(side // 2)), axis=(0, 1))


def richardson_lucy(plane: Floats, psf: Floats, iterations: int) -> Floats:
    """Richardson and Lucy's iteration towards the likeliest picture under photon noise.

    (H, W) float32, at least 0, to the same. Richardson, "Bayesian-Based Iterative Method of Image
    Restoration", 1972; Lucy, "An iterative technique for the rectification of observed
    distributions", 1974.
    """
    found = np.maximum(plane, _DARKEST)
    for _ in range(iterations):
        ratio = plane / np.maximum(_blurred(found, psf), _DARKEST)
        found = found * _blurred(np.asarray(ratio, np.float32), psf)
    return np.asarray(found, np.float32)


def _blurred(plane: Floats, psf: Floats) -> Floats:
    return np.asarray(cv2.filter2D(plane, -1, psf, borderType=cv2.BORDER_REFLECT), np.float32)
