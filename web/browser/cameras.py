"""Cameras for the browser tests: `python web/browser/cameras.py FOLDER`, until it is stopped.

FOLDER/door gets five pictures a second of a corridor that somebody walks through again and again,
FOLDER/yard never any; FOLDER/ann.png, there before, is a portrait of who walks.
"""

import os
import sys
import time
from fractions import Fraction
from itertools import count
from pathlib import Path

from facecctv.demo import Person
from facecctv.demo.clip import Walker, clip, steady
from facecctv.geometry import cut_out
from facecctv.image import encode, write_atomic

SIZE = (960, 540)
RATE = Fraction(5)
KEPT = 20
WALKERS = (
    Walker(1, Person(x=250, face_px=80, hue=90), 700, 100, 0.6, 7.0),
    Walker(2, Person(x=800, face_px=40, mirrored=True, hue=60), 420, 52, 2.0, 5.0),
)

folder = Path(sys.argv[1])
for name in ("door", "yard"):
    (folder / name).mkdir()
(near,) = clip(SIZE, [Walker(1, Person(x=480, face_px=170), 480, 170, 0, 1)], [Fraction(0)])
portrait, _, _ = cut_out(near.frame.image, near.faces[0].box, 0.6)
scenes = [encode(shot.frame.image) for shot in clip(SIZE, WALKERS, steady(10.0, RATE))]
write_atomic(folder / "ann.png", encode(portrait))
began = time.monotonic()
for number in count():
    write_atomic(folder / "door" / f"{number:09}.png", scenes[number % len(scenes)])
    if number >= KEPT:
        os.unlink(folder / "door" / f"{number - KEPT:09}.png")  # noqa: PTH108
    time.sleep(max(0.0, began + (number + 1) / float(RATE) - time.monotonic()))
