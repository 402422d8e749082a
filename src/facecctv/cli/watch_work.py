"""One camera's share of `facecctv watch`, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from facecctv.footage.camera import Camera, Notice
from facecctv.footage.decoding import Still
from facecctv.footage.examine import ExamineOptions
from facecctv.footage.live import Event, follow
from facecctv.footage.watched import Watched
from facecctv.vision.detect import Detector
from facecctv.vision.quality import assess
from facecctv.vision.single import SingleFaceDetector


@dataclass(frozen=True, eq=False)
class Ended:
    """A camera that is done with."""

    camera: Camera
    frames: int
    """Taken."""
    error: BaseException | None


Item: TypeAlias = "Ended | tuple[Camera, Notice] | tuple[Camera, Event]"


@dataclass(frozen=True, eq=False)
class Work:
    """What is done with every camera; all share one detector."""

    detect: Detector | SingleFaceDetector
    examining: ExamineOptions
    frames: int | None
    """Of each camera, at most."""
    items: queue.Queue[Item]
    """Where all that happens goes, in order."""


class Worker:
    """Follows the faces before one camera."""

    def __init__(self, camera: Camera, work: Work, watched: Watched | None = None) -> None:
        """`watched` is shown what the camera sees."""
        self.camera, self._work, self._watched = camera, work, watched
        self._frames = 0
        self._thread = threading.Thread(target=self._run, name="facecctv-watch", daemon=True)

    def start(self) -> None:
        """Begins; the last item is an `Ended`."""
        self._thread.start()

    def close(self) -> None:
        """Lets it come to its end."""
        self.camera.close()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            taken = islice(map(self._count, self.camera.stills()), self._work.frames)
            looked = None if self._watched is None else self._watched.looked
            how = self._work.examining
            for event in follow(taken, self._work.detect, assess, how, looked=looked):
                self._work.items.put((self.camera, event))
        except BaseException as found:  # noqa: BLE001 - told by whoever waits
            error = found
        finally:
            self.camera.close()
        self._work.items.put(Ended(self.camera, self._frames, error))

    def _count(self, still: Still) -> Still:
        self._frames += 1
        return still if self._watched is None else self._watched.frame(still)
