"""What those who look on see of cameras that are watched: newest frames and last events.

All of it is in memory. A camera's own thread hands in its frames, which costs it a reference;
pixels become a picture when somebody asks for one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import numpy as np

from facecctv.draw import outline
from facecctv.footage.camera import Camera, Notice
from facecctv.footage.decoding import Still
from facecctv.footage.live import Look
from facecctv.image import encode, resize
from facecctv.types import Face, Image

EVENTS = 200
"""That are remembered."""
SIGHT_BYTES = 64 * 2**20
"""Of the best sights of these events, together; the oldest are forgotten first."""
WIDTH = 960
"""Pixels of a picture for those who look on, at most."""
PAUSE = 0.25
"""Seconds between two pictures made of one camera, however many ask."""
_UNSEARCHED = 5.0
"""Seconds that the newest frame waits to be searched before it is shown as it is."""
_RECENT = 10.0
"""Seconds over which frames are counted."""

State: TypeAlias = Literal["connecting", "watching", "lost", "ended"]
_STATES: dict[str, State] = {"connected": "watching", "lost": "lost", "given up": "ended"}


@dataclass(frozen=True)
class Status:
    """How it stands with a camera."""

    state: State
    since: datetime
    detail: str | None = None
    """Why it was lost or ended; no secret of its address."""


class Watched:
    """One camera. Any thread may call anything."""

    def __init__(
        self, number: int, camera: Camera, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.number, self.name = number, camera.name
        self.status = Status("connecting", datetime.now(UTC))
        self._camera, self._clock = camera, clock
        self._lock, self._drawing = threading.Lock(), threading.Lock()
        self._came = deque[float](maxlen=64)
        self._newest: Still | None = None
        self._look: Look | None = None
        self._made: tuple[tuple[int, bool], bytes, float] | None = None

    @property
    def dropped(self) -> int:
        """Frames that made way for newer ones."""
        return self._camera.dropped

    @property
    def people(self) -> int | None:
        """Who was seen in the newest frame that was searched; None while nothing is watched."""
        if self.status.state != "watching":
            return None
        return 0 if self._look is None else len(self._look.faces)

    @property
    def rate(self) -> float:
        """Frames a second that were taken of late; 0 where fewer than two were."""
        with self._lock:
            came = [at for at in self._came if at > self._clock() - _RECENT]
        return (len(came) - 1) / (came[-1] - came[0]) if len(came) > 1 else 0.0

    def frame(self, still: Still) -> Still:
        """Takes note of a frame that came; the same frame, with pixels for several threads."""
        shared = replace(still, pixels=_Once(still.pixels))
        with self._lock:
            self._came.append(self._clock())
            self._newest = shared
        return shared

    def looked(self, look: Look) -> None:
        """Takes note of a frame that was searched."""
        self._look = look

    def noticed(self, notice: Notice) -> bool:
        """Takes note of what became of the connection; whether that is news, as another attempt
        in vain is not.
        """
        state, before = _STATES[notice.state], self.status
        news = state != before.state
        self.status = Status(state, notice.at if news else before.since, notice.detail or None)
        return news

    def ended(self, at: datetime, detail: str | None) -> None:
        """Nothing comes any more."""
        self.status = Status("ended", at, detail)

    def picture(self) -> bytes | None:
        """The newest frame that was searched as JPEG, who is followed outlined with the number of
        the passage; None before the first frame. It may take a tenth of a second.

        A frame that waits long to be searched, as in a folder the last picture does for the next
        one, is shown without outlines.
        """
        with self._drawing:
            shown = self._shown()
            if shown is None:
                return None
            still, faces = shown
            key, now = (still.index, bool(faces)), self._clock()
            if self._made is not None and (self._made[0] == key or now - self._made[2] < PAUSE):
                return self._made[1]
            data = encode(_drawn(still.pixels(), faces), "jpeg", quality=80)
            self._made = key, data, now
            return data

    def _shown(self) -> tuple[Still, Mapping[int, Face]] | None:
        with self._lock:
            look, newest = self._look, self._newest
            waited = self._clock() - self._came[-1] if self._came else 0.0
        if newest is None or (look is not None and newest is look.still):
            return None if look is None else (look.still, look.faces)
        if look is None or waited > _UNSEARCHED:
            return newest, {}
        return look.still, look.faces


class _Once:
    """Pixels made once, by whoever asks first: a decoder's frame is not for two threads at once."""

    def __init__(self, make: Callable[[], Image]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._image: Image | None = None

    def __call__(self) -> Image:
        with self._lock:
            if self._image is None:
                self._image = self._make()
            return self._image


def _drawn(image: Image, faces: Mapping[int, Face]) -> Image:
    height, width = image.shape[:2]
    if width > WIDTH:
        image = resize(image, WIDTH, max(1, round(height * WIDTH / width)))
    scale = np.array([image.shape[1] / width, image.shape[0] / height], np.float32)
    moved = [
        Face(face.box * np.tile(scale, 2), face.landmarks * scale, face.score)
        for face in faces.values()
    ]
    return outline(image, moved, [f"#{number}" for number in faces])


@dataclass(frozen=True, eq=False)
class Told:
    """An event as it was told."""

    number: int
    """From 1, of all events."""
    camera: int
    """Number of the camera, from 1."""
    kind: str
    """`appeared`, `matched`, `left` or `camera`."""
    text: str
    """One JSON object."""
    sight: Image | None
    """(h, w, 3) uint8 RGB, native pixels; None where there is none, or it was forgotten."""


class Live:
    """All cameras that are watched, and what was told of late. Any thread may call anything."""

    def __init__(self, cameras: Sequence[Camera], *, searching: bool = False) -> None:
        self.cameras = tuple(Watched(number, one) for number, one in enumerate(cameras, 1))
        self.searching = searching
        """Whether everybody is searched for in a watch-list."""
        self.over = False
        """Whether nothing will be told any more."""
        self._by_camera = dict(zip(cameras, self.cameras, strict=True))
        self._lock = threading.Lock()
        self._told = deque[Told](maxlen=EVENTS)
        self._count = 0

    def of(self, camera: Camera) -> Watched:
        """What is known of a camera; KeyError for one that is not watched."""
        return self._by_camera[camera]

    def tell(self, camera: Camera, kind: str, text: str, sight: Image | None = None) -> None:
        """Takes note of an event."""
        with self._lock:
            self._count += 1
            self._told.append(Told(self._count, self.of(camera).number, kind, text, sight))
            self._forget_sights()

    def told(self, after: int = 0) -> list[Told]:
        """Remembered events with higher numbers, oldest first; all where there is no such number
        yet, as it is one of an earlier watch.
        """
        with self._lock:
            least = after if after <= self._count else 0
            return [one for one in self._told if one.number > least]

    def end(self) -> None:
        """The watch is over."""
        self.over = True

    def _forget_sights(self) -> None:
        """Events of one passage share its best sight, which counts once."""
        counted: set[int] = set()
        size = 0
        for place in reversed(range(len(self._told))):
            sight = self._told[place].sight
            if sight is not None and id(sight) not in counted:
                counted.add(id(sight))
                size += sight.nbytes
            if size > SIGHT_BYTES:
                self._told[place] = replace(self._told[place], sight=None)
