"""What `facecctv watch` says of what happens, and what it keeps."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from facecctv.cli import outputs
from facecctv.cli.looking_for import LookingFor
from facecctv.cli.sending import Sender
from facecctv.cli.watch_work import Ended
from facecctv.errors import FaceCCTVError, OutputError
from facecctv.footage.camera import Camera, Notice
from facecctv.footage.live import Event
from facecctv.footage.watched import Live
from facecctv.image import encode, shown, write_atomic
from facecctv.schema import printable
from facecctv.schema.live import CameraState, Sighted
from facecctv.types import Image, Portrait, Sighting

EVENTS = "events.jsonl"
_PICTURES = "pictures"


class Keeping:
    """A folder with events, one JSON object a line, and the best sight of every passage."""

    def __init__(self, folder: Path) -> None:
        self._folder = outputs.folder(folder)
        try:
            self._file: IO[str] = (folder / EVENTS).open("a", encoding="utf-8")
        except OSError as error:
            raise self._failed(error) from error

    @classmethod
    def begun(cls, folder: Path | None) -> Keeping | None:
        """None without a folder."""
        return None if folder is None else cls(folder)

    def line(self, text: str) -> None:
        """Raises OutputError where the disk is full."""
        try:
            self._file.write(f"{text}\n")
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def picture(self, number: int, event: Event) -> str | None:
        """Writes a passage's best sight; its name in the folder."""
        crop = event.best.crop
        if crop is None:
            return None
        outputs.folder(self._folder / _PICTURES)
        when = (event.at or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
        name = f"{_PICTURES}/{when}Z-camera-{number:02}-passage-{event.number}.png"
        write_atomic(self._folder / name, encode(crop.image))
        return name

    def close(self) -> None:
        self._file.close()

    def _failed(self, error: OSError) -> OutputError:
        path = shown(self._folder / EVENTS)
        return OutputError(f"{path}: cannot be written: {error.strerror or error}")


@dataclass
class _Passage:
    """What was told of somebody who is there."""

    portrait: Portrait
    named: set[str] = field(default_factory=set)

    @property
    def sight(self) -> Image | None:
        """Native pixels, if any were kept."""
        return None if self.portrait.crop is None else self.portrait.crop.image


class Teller:
    """Tells of everything that happens, each thing once. For one thread."""

    def __init__(
        self,
        as_json: bool,
        keeping: Keeping | None,
        asking: LookingFor | None,
        senders: Sequence[Sender] = (),
        live: Live | None = None,
    ) -> None:
        """`live` is for those who look on."""
        self._as_json, self._keeping = as_json, keeping
        self._asking, self._senders, self._live = asking, senders, live
        self._passages: dict[tuple[Camera, int], _Passage] = {}
        self._numbers: dict[Camera, int] = {}

    def event(self, camera: Camera, event: Event) -> None:
        """Somebody appeared, is seen better or left."""
        place = camera, event.number
        known = self._passages.get(place)
        if known is None:
            known = self._passages[place] = _Passage(self._portrait(event.best))
        elif event.improved:
            known.portrait = self._portrait(event.best)
        if event.kind == "appeared":
            said = Sighted.of("appeared", camera.name, event, known.portrait)
            self._tell(camera, said, known)
        self._tell_of_match(camera, event, known)
        if event.kind == "left":
            self._passages.pop(place)
            picture = None
            if self._keeping is not None:
                number = self._numbers.setdefault(camera, len(self._numbers) + 1)
                picture = self._keeping.picture(number, event)
            said = Sighted.of("left", camera.name, event, known.portrait, picture)
            self._tell(camera, said, known)

    def notice(self, camera: Camera, notice: Notice) -> None:
        """A camera came or went."""
        news = self._live is None or self._live.of(camera).noticed(notice)
        self._tell(camera, CameraState.of(notice), shown=news)

    def ended(self, end: Ended, debug: bool) -> bool:
        """A camera is done with; whether that is a failure."""
        camera, error = end.camera, end.error
        detail = None
        if isinstance(error, FaceCCTVError | OSError):
            detail = str(error)
        elif error is not None:
            if debug:
                traceback.print_exception(error)
            detail = f"{type(error).__name__} (a bug; --debug shows where)"
        told = CameraState(
            camera=camera.name,
            state="ended",
            detail=detail,
            at=datetime.now(UTC),
            frames=end.frames,
            dropped=camera.dropped,
            damaged=camera.damaged,
        )
        if self._live is not None:
            self._live.of(camera).ended(told.at, detail)
        self._tell(camera, told)
        return error is not None

    def close(self) -> None:
        """Ends the folder and whatever sends events elsewhere, and says what did not arrive."""
        if self._keeping is not None:
            self._keeping.close()
        for sender in self._senders:
            sender.close()
            for line in sender.account():
                print(line, file=sys.stderr)

    def _portrait(self, best: Sighting) -> Portrait:
        if self._asking is None:
            return Portrait(best.face, best.crop, best.quality)
        return self._asking(best)

    def _tell_of_match(self, camera: Camera, event: Event, known: _Passage) -> None:
        """Once for each name."""
        if known.portrait.decision != "match":
            return
        names = {one.name for one in known.portrait.candidates or () if one.decision == "match"}
        if names - known.named:
            known.named |= names
            self._tell(camera, Sighted.of("matched", camera.name, event, known.portrait), known)

    def _tell(
        self,
        camera: Camera,
        told: Sighted | CameraState,
        who: _Passage | None = None,
        *,
        shown: bool = True,
    ) -> None:
        """`shown`: also to those who look on, whose list a lost camera is not to fill."""
        line = told.to_json()
        if self._live is not None and shown:
            self._live.tell(camera, told.event, line, None if who is None else who.sight)
        if self._keeping is not None:
            self._keeping.line(line)
        for sender in self._senders:
            sender.put(line, told.camera, told.event)
        if self._as_json:
            print(line, flush=True)
        elif isinstance(told, Sighted):
            print(f"{_clock(told.at)} {told.camera}: {_words(told)}", flush=True)
        else:
            print(f"{_clock(told.at)} {told.camera}: {_state(told)}", file=sys.stderr, flush=True)


def _clock(at: datetime | None) -> str:
    return (at or datetime.now(UTC)).astimezone().strftime("%H:%M:%S")


def _words(told: Sighted) -> str:
    who = f"passage {told.passage}"
    if told.event == "matched":
        return f"{who} {_names(told)}"
    face = told.face
    text = f"{who} {told.event}"
    if told.event == "left" and told.first is not None:
        text += f" after {told.time - told.first:.1f} s"
    quality = face.quality
    if quality is not None:
        best = quality.usable_for[-1] if quality.usable_for else "of no use"
        text += f", {quality.face_px:.0f} px high, {best}"
    if face.decision is not None:
        text += f", {face.decision.replace('_', ' ')}"
    return text + (f", {told.picture}" if told.picture else "")


def _names(told: Sighted) -> str:
    named: list[str] = [
        f"{one.name} ({one.similarity:.2f}, false matches {one.false_match_rate:.1g})"
        for one in told.face.candidates or ()
        if one.decision == "match"
    ]
    return f"matches {', '.join(named)}"


def _state(told: CameraState) -> str:
    state: Literal["connected", "lost", "given up", "ended"] = told.state
    text = printable(state) if told.detail is None else f"{state}: {told.detail}"
    if told.state == "ended":
        text += f" ({told.frames} frames, {told.dropped} dropped, {told.damaged} damaged)"
    return text
