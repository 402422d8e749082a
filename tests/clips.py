"""Videos made by code: frames whose content says which frame they are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BASE = Fraction(1, 12_800)


def numbered(index: int, width: int, height: int) -> np.ndarray:
    """Grey of a level that tells the index, its top left quarter white."""
    image = np.full((height, width, 3), 20 + 8 * index % 200, np.uint8)
    image[: height // 2, : width // 2] = 255
    return image


def level(image: np.ndarray) -> float:
    """The grey of a numbered frame's bottom right quarter."""
    return float(image[image.shape[0] // 2 + 2 :, image.shape[1] // 2 + 2 :].mean())


def write(
    path: Path,
    times: Sequence[Fraction],
    width: int = 64,
    height: int = 48,
    *,
    images: Sequence[np.ndarray] | None = None,
    codec: str = "libx264",
    rotation: int = 0,
    aspect: Fraction | None = None,
    sound: float = 0.0,
    start: Fraction = Fraction(0),
    interval: int = 12,
) -> Path:
    """A video with frames at these times, seconds, and `sound` seconds of a tone."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25, options={"g": str(interval)})
        video.width, video.height = width, height
        even = width % 2 == 0 and height % 2 == 0
        video.pix_fmt = "yuv420p" if even else "yuv444p"
        video.codec_context.time_base = video.time_base = BASE
        if aspect is not None:
            video.sample_aspect_ratio = aspect
        if rotation:
            video.set_display_rotation(rotation)
        tone = container.add_stream("aac", rate=16_000, layout="mono") if sound else None
        for index, time in enumerate(times):
            image = numbered(index, width, height) if images is None else images[index]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round((time + start) / BASE), BASE
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if tone is not None:
            for block in range(round(sound * 16_000 / 1024)):
                at = (block * 1024 + np.arange(1024)) / 16_000
                wave = np.sin(2 * np.pi * 440 * at).astype(np.float32)[None] * 0.5
                samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
                samples.sample_rate = 16_000
                samples.pts = block * 1024 + round(start * 16_000)
                samples.time_base = Fraction(1, 16_000)
                container.mux(tone.encode(samples))
            container.mux(tone.encode(None))
    return path


def steady(count: int, rate: int = 25) -> list[Fraction]:
    return [Fraction(index, rate) for index in range(count)]
