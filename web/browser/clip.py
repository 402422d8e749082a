"""Writes a short video of two people for the browser tests: `python web/browser/clip.py FILE`."""

import sys
from fractions import Fraction
from pathlib import Path

from facecctv.demo import Person
from facecctv.demo.clip import Walker, clip, steady, write_clip

WALKERS = (
    Walker(1, Person(x=120, face_px=24, hue=90), 300, 26, 0.0, 2.4),
    Walker(2, Person(x=560, face_px=50, mirrored=True, hue=60), 430, 60, 0.8, 2.4),
)
write_clip(Path(sys.argv[1]), clip((640, 360), WALKERS, steady(2.4, Fraction(25, 2))))
