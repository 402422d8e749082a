"""A video covered from end to end: everybody followed, covered, and looked for again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from facecctv.footage.redact import (
    Detect,
    Redaction,
    RedactOptions,
    Tell,
    checked,
    passages,
    redact,
    same_passage,
)
from facecctv.footage.sparing import SIGHTS, Spared
from facecctv.footage.video import Video
from facecctv.footage.writing import Target
from facecctv.types import Track
from facecctv.vision.quality import assess

ROUNDS = 3
"""How often all frames are gone through."""
Sound = Literal["kept", "muted", "none"]
Path = Sequence[Sequence[float]]
"""A passage of an earlier result: time, x1, y1, x2, y2 of each frame that was looked at."""


@dataclass(frozen=True, eq=False)
class Covering:
    """How a video is covered."""

    detect: Detect
    """Reports unsure faces too."""
    finder: Detect
    """Looks at the result."""
    sure: float
    """Score of a sure face; less sure ones are for review."""
    options: RedactOptions = field(default_factory=RedactOptions)
    sound: bool = True
    check: float = 0.2
    """Seconds between looks at the result; 0: every frame."""
    kept: tuple[Path, ...] = ()
    """Passages of people who stay to be seen."""
    spared: Spared | None = None
    """More of them, by pictures."""

    def keeps(self, track: Track, passages: int = 1) -> bool:
        """Whether this passage, one of so many, is of somebody who stays to be seen."""
        if any(_is(track, np.array(path, np.float64)) for path in self.kept):
            return True
        return self.spared is not None and self.spared.passage(track, passages)

    def __call__(
        self, video: Video, out: Target, tell: Tell | None = None
    ) -> tuple[Redaction, Sound]:
        """Writes the video again; `tell` is told ROUNDS times of each frame.

        Raises OutputError and VideoError as `writing.Writer`; nothing is left then.
        """
        judge = None if self.spared is None else assess
        tracks = passages(video.stills(), self.detect, tell=tell, assess=judge, sights=SIGHTS)
        kept = [track for track in tracks if self.keeps(track, len(tracks))]
        hidden = [track for track in tracks if track not in kept]
        done = redact(video, out, hidden, self.options, sound=self.sound, sure=self.sure, tell=tell)
        finished = out[0].data if isinstance(out, tuple) else out
        done = checked(Video(finished), done, self.finder, kept, self.check, tell=tell)
        done = replace(done, spared=len(kept))
        heard = video.facts.audio
        return done, "none" if heard is None else "kept" if self.sound else "muted"


def _is(track: Track, path: npt.NDArray[np.float64]) -> bool:
    return same_passage(track, path[:, 0], path[:, 1:].astype(np.float32))
