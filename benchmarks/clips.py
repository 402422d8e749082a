"""Videos to measure with, made by code; long ones are short ones over and over."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from facecctv.demo import Person
from facecctv.demo.clip import RATE, Shot, Walker, clip, steady, write_clip

SIZES = {"1080p": (1920, 1080), "720p": (1280, 720), "360p": (640, 360)}
"""(width, height) in pixels."""
BASE = Fraction(1, 12_800)


def walkers(size: tuple[int, int], seconds: float) -> tuple[Walker, ...]:
    """Five people, of faces of 24 to 150 px at 1080p; the corridor is empty at both ends."""
    width, unit = size[0], size[1] / 1080

    def walker(name: int, way: tuple[float, float], px: tuple[float, float], when: slice) -> Walker:
        first = Person(way[0] * width, px[0] * unit, mirrored=way[0] > way[1], hue=30 * name)
        times = when.start * seconds, when.stop * seconds
        return Walker(name, first, way[1] * width, px[1] * unit, *times)

    return (
        walker(1, (0.15, 0.78), (60, 80), slice(0.02, 0.96)),
        walker(2, (0.88, 0.47), (120, 150), slice(0.08, 0.92)),
        walker(3, (0.31, 0.57), (40, 44), slice(0.15, 0.85)),
        walker(4, (0.68, 0.26), (24, 30), slice(0.25, 0.97)),
        walker(5, (0.52, 0.68), (90, 90), slice(0.40, 0.90)),
    )


def write_scene(path: Path, name: str, seconds: float) -> int:
    """H.264 at 25 frames a second; returns how many frames."""
    size = SIZES[name]
    return write_clip(path, clip(size, walkers(size, seconds), steady(seconds)), BASE)


def repeat(scene: Path, path: Path, times: int) -> None:
    """The same packets several times, one after the other."""
    with av.open(str(path), "w") as out:
        target = None
        for number in range(times):
            with av.open(str(scene)) as source:
                stream = source.streams.video[0]
                length = round(stream.frames / RATE / BASE)
                target = target or out.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts += number * length
                    packet.dts += number * length
                    packet.stream = target
                    out.mux(packet)


def decode(path: Path) -> int:
    """Decodes every frame, in as many threads as FFmpeg wants, and does nothing with it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return sum(1 for _ in container.decode(stream))


GROWING = (
    Walker(1, Person(x=120, face_px=24, hue=90), 300, 36, 0.0, 4.0),
    Walker(2, Person(x=560, face_px=44, mirrored=True, hue=60), 430, 66, 0.8, 4.0),
    Walker(3, Person(x=330, face_px=24, hue=30), 520, 24, 0.4, 3.6),
)
"""Two who come nearer and one of 24 px, all at one time: the face is the same, so nobody could
tell who of them comes back."""


def growing() -> list[Shot]:
    """Four seconds of 640 x 360 with exact ground truth."""
    return list(clip(SIZES["360p"], GROWING, steady(4)))
