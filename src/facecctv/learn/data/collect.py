"""Pictures for a data set from a camera, a video file or a folder, one session folder each time.

A session is `DIR/pictures/*.jpg` with `session.json`, which says where every picture came from. It
is written after every picture, so an interrupted session is whole and the next one goes on in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, Self

import av
import cv2
import numpy as np

from facecctv.closing import Closing
from facecctv.draw import outline
from facecctv.errors import InputError, OutputError, SettingError, VideoError
from facecctv.image import encode, find, read, shown, write_atomic
from facecctv.image.files import SUFFIXES
from facecctv.learn.data.manifest import digest
from facecctv.types import Face, Image

VERSION = 1
_MANIFEST = "session.json"
_QUALITY = 95


@dataclass(frozen=True)
class Shot:
    """A picture from a source."""

    image: Image
    frame: int
    """Number of the frame or picture in the source, from 0."""
    seconds: float | None
    """Into the source; None for folders."""
    origin: str
    """Name of the file it is from, or `camera`."""


@dataclass(frozen=True)
class Choice:
    """Which frames are kept."""

    every: int = 1
    """Each n-th frame."""
    limit: int | None = None
    """At most so many pictures in this run."""
    on_key: bool = False
    """Only when a key is pressed: space keeps a frame, q ends."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise SettingError(f"every must be at least 1, not {self.every}")
        if self.limit is not None and self.limit < 1:
            raise SettingError(f"limit must be at least 1, not {self.limit}")


class View(Protocol):
    """Where frames are shown and keys come from; None in its place when headless."""

    def show(self, image: Image, faces: Sequence[Face], text: str) -> str:
        """Shows a frame and returns the key pressed, or an empty string."""


@dataclass
class Session(Closing):
    """The session folder and its manifest. Use as a context manager."""

    folder: Path
    source: str
    pictures: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        path = self.folder / _MANIFEST
        try:
            (self.folder / "pictures").mkdir(parents=True, exist_ok=True)
            if path.exists():
                body = json.loads(path.read_text(encoding="utf-8"))
                self.pictures = list(body["pictures"])
        except OSError as error:
            raise OutputError(f"{shown(self.folder)}: cannot be used: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{shown(path)}: not the manifest of a session") from error
        return self

    def close(self) -> None:
        """Writes the manifest."""
        self._write()

    def keep(self, shot: Shot) -> Path:
        """Writes one picture and notes where it is from. Raises OutputError."""
        name = f"{len(self.pictures):05d}.jpg"
        data = encode(shot.image, "jpeg", _QUALITY)
        write_atomic(self.folder / "pictures" / name, data)
        height, width = shot.image.shape[:2]
        taken = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"file": f"pictures/{name}", "sha256": digest(data), "width": width}
        entry |= {"height": height, "origin": shot.origin, "frame": shot.frame}
        entry |= {"seconds": shot.seconds, "collected": taken, "source": self.source}
        self.pictures.append(entry)
        self._write()
        return self.folder / "pictures" / name

    def has(self, shot: Shot) -> bool:
        """Whether this frame of this file was kept before."""
        key = (shot.origin, shot.frame, self.source)
        return any((p["origin"], p["frame"], p.get("source")) == key for p in self.pictures)

    def _write(self) -> None:
        body = {"version": VERSION, "pictures": self.pictures}
        write_atomic(self.folder / _MANIFEST, (json.dumps(body, indent=1) + "\n").encode())


def open_source(source: str) -> Iterator[Shot]:
    """The pictures of a camera (`0`, `1`, ...), a video file or a folder, in order.

    Raises VideoError for a camera or video that cannot be opened, InputError for a folder without
    pictures. A damaged picture in a folder is an ImageError that names it.
    """
    if source.isdigit():
        return _camera(int(source))
    path = Path(source)
    if not path.exists():
        raise InputError(f"{shown(source)}: neither a camera's number, a video nor a folder")
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        return _folder(path)
    return _video(path)


def is_live(source: str) -> bool:
    """Whether the source is a camera."""
    return source.isdigit()


def _folder(path: Path) -> Iterator[Shot]:
    files = [Path(name) for name in find([path])]
    if not files:
        raise InputError(f"{shown(path)}: no pictures")
    return (Shot(read(file).image, number, None, file.name) for number, file in enumerate(files))


def _video(path: Path) -> Iterator[Shot]:
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{shown(path)}: cannot be read as video: {_reason(error)}") from error
    if not container.streams.video:
        container.close()
        raise VideoError(f"{shown(path)}: holds no video")

    def frames() -> Iterator[Shot]:
        with container:
            try:
                for number, frame in enumerate(container.decode(video=0)):
                    yield Shot(frame.to_ndarray(format="rgb24"), number, frame.time, path.name)
            except av.FFmpegError as error:
                reason = _reason(error)
                raise VideoError(f"{shown(path)}: damaged video: {reason}") from error

    return frames()


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)


def _camera(number: int) -> Iterator[Shot]:
    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        camera.release()
        raise VideoError(f"camera {number} cannot be opened: is it there, and free?")

    def frames() -> Iterator[Shot]:
        start, count = time.monotonic(), 0
        try:
            while True:
                good, bgr = camera.read()
                if not good:
                    raise VideoError(f"camera {number} gives no more pictures")
                rgb = np.ascontiguousarray(bgr[..., ::-1])
                yield Shot(rgb, count, time.monotonic() - start, f"camera {number}")
                count += 1
        finally:
            camera.release()

    return frames()


def collect(
    shots: Iterator[Shot],
    session: Session,
    choice: Choice | None = None,
    view: View | None = None,
    detect: Callable[[Image], Sequence[Face]] | None = None,
    step: Callable[[int], None] = lambda _: None,
) -> int:
    """Keeps the chosen pictures and returns how many are new.

    Frames that the session has already are passed over, except a camera's. With a view, every
    frame is shown with the faces that `detect` finds; `q` ends. `step` is called with the number
    kept. Raises SettingError when keys are wanted and there is no view.
    """
    chosen = choice or Choice()
    if chosen.on_key and view is None:
        raise SettingError("pictures on a key need a display; use --every on a machine without")
    kept = 0
    with closing(_Ended(shots)) as source:
        for shot in source:
            key = ""
            if view is not None:
                faces = detect(shot.image) if detect else []
                key = view.show(shot.image, faces, f"{kept} kept")
            if key == "q":
                break
            wanted = key == " " if chosen.on_key else shot.frame % chosen.every == 0
            if wanted and (shot.origin.startswith("camera") or not session.has(shot)):
                session.keep(shot)
                kept += 1
                step(kept)
            if chosen.limit is not None and kept >= chosen.limit:
                break
    return kept


class _Ended:
    """An iterator that is closed where it can be, so cameras and files are let go."""

    def __init__(self, shots: Iterator[Shot]) -> None:
        self._shots = shots

    def __iter__(self) -> Iterator[Shot]:
        return self._shots

    def close(self) -> None:
        """Writes the manifest."""
        close = getattr(self._shots, "close", None)
        if close is not None:
            close()


class Window:
    """A window of OpenCV. Raises SettingError where OpenCV was built without, or no display is."""

    def __init__(self, title: str = "FaceCCTV: space keeps, q ends") -> None:
        self._title = title
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL)
        except cv2.error as error:
            raise SettingError(
                "no window can be opened: no display, or OpenCV's headless build"
            ) from error

    def show(self, image: Image, faces: Sequence[Face], text: str) -> str:
        """One frame with its faces; the key pressed within a millisecond."""
        marked = outline(image, faces)
        cv2.putText(marked, text, (12, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)
        cv2.imshow(self._title, np.ascontiguousarray(marked[..., ::-1]))
        pressed = cv2.waitKey(1)
        return chr(pressed & 0xFF) if pressed >= 0 else ""


def window_or_none() -> Window | None:
    """A window where one can be had, else None: headless."""
    try:
        return Window()
    except SettingError:
        return None


def count_down(seconds: int, say: Callable[[str], None]) -> None:
    """Counts down aloud before a camera starts, one number a second."""
    for left in range(seconds, 0, -1):
        say(f"{left} ...")
        time.sleep(1)
