"""Videos with red heads in them, and a workshop that finds these."""

from __future__ import annotations

import tempfile
import threading
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from facecctv.errors import ModelNotFound
from facecctv.pipeline import Pipeline
from facecctv.types import Face
from facecctv.vision.quality import assess
from tests import clips

RED = (220, 20, 20)
SIDE = 40
WIDTH, HEIGHT = 240, 120


def heads(image):
    """One face for each red patch, from left to right."""
    red = (image[..., 0].astype(int) - image[..., 1] > 100).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(red)
    found = []
    for x, y, width, height, area in sorted(stats[1:].tolist()):
        if area > 200:
            box = np.array([x, y, x + width, y + height], np.float32)
            marks = np.array([[3, 3], [7, 3], [5, 5], [3, 8], [7, 8]]) / 10 * (width, height)
            found.append(Face(box=box, landmarks=box[:2] + marks, score=0.9))
    return found


class Filmed:
    """A workshop; each look at a frame may be made to wait for `gate`."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.looking = threading.Event()

    def during(self, check):
        shop = Filmed()
        shop.gate, shop.looking, shop.check = self.gate, self.looking, check
        return shop

    def check(self):
        pass

    def _detect(self, image):
        self.looking.set()
        while not self.gate.wait(0.01):
            self.check()
        return heads(image)

    def pipeline(self, options=None, margin=0.35):
        return Pipeline(detect=self._detect, assess=assess, margin=margin)

    def watcher(self, options=None):
        return _Watcher(self._detect), 0.5

    def enhancer(self, scale=4, options=None, below=0.0):
        raise ModelNotFound("no enhancer")

    recogniser = enhancer

    def cards(self):
        return []


class _Watcher:
    """Sees all whatever part it is asked for."""

    def __init__(self, detect):
        self._detect = detect

    def __call__(self, image):
        return self._detect(image)

    def within(self, image, changed, near):
        return self._detect(image)


def frame(*corners):
    image = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    for x, y in corners:
        image[y : y + SIDE, x : x + SIDE] = RED
        image[y + 10 : y + 30, x + 12 : x + 16] = (180, 10, 10)
    return image


def film(images, *, sound=0.0, suffix=".mp4", rate=25):
    """The bytes of a video file."""
    height, width = images[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"film{suffix}"
        times = [Fraction(at, rate) for at in range(len(images))]
        clips.write(path, times, width, height, images=images, sound=sound)
        return path.read_bytes()


def walk(count=30, sound=1.0):
    """Two people, one after the other, with two and a half seconds of nobody between."""
    first = [frame((10 + 2 * at, 40)) for at in range(count)]
    second = [frame((150 - 2 * at, 30)) for at in range(count)]
    return film([*first, *[frame()] * 65, *second], sound=sound)


def sound_only():
    """An MP4 without a picture."""
    import av

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.mp4"
        with av.open(str(path), "w") as container:
            tone = container.add_stream("aac", rate=16_000, layout="mono")
            for block in range(10):
                wave = np.zeros((1, 1024), np.float32)
                samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
                samples.sample_rate, samples.pts = 16_000, block * 1024
                samples.time_base = Fraction(1, 16_000)
                container.mux(tone.encode(samples))
            container.mux(tone.encode(None))
        return path.read_bytes()
