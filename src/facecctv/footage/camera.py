"""Live sources as frames: network cameras, webcams, folders that pictures come into.

A source is read in a thread of its own and, when it is lost, again after growing pauses. Frames
that nobody takes in time make way for newer ones and are counted. What may be a secret in an
address appears in no message, name or log.
"""

from __future__ import annotations

import errno
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import av
import av.error

from facecctv.errors import ImageError, InputError, SettingError, VideoError
from facecctv.footage.cells import cells_of
from facecctv.footage.decoding import (
    MOST_PIXELS,
    PLAY_LISTS,
    Still,
    aspect_of,
    still_of,
    stream_of,
    upright,
)
from facecctv.footage.newest import Newest
from facecctv.image import read
from facecctv.image.files import SUFFIXES

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Kind = Literal["rtsp", "http", "webcam", "folder"]

_SCHEMES: dict[str, Kind] = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http"}
_PROTOCOLS: dict[Kind, str] = {
    "rtsp": "rtsp,rtsps,rtp,srtp,udp,tcp,tls,crypto",
    "http": "http,https,tcp,tls,crypto",
}
_WEBCAM = re.compile(r"/dev/video\d+")
_SECRET = re.compile(r"(?i)(pass(?:word|wd)?|pwd|user(?:name)?|auth|token|key)=[^/&;_]*")
_NO_CLOCK = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe", "image2pipe"})
"""Formats whose frames carry no times: those are when they came."""
_JUMP = 10
"""Seconds by which the clock of a stream is no longer believed."""
_USUAL_RATE = Fraction(25)
_LEAST_STEP = Fraction(1, 1000)
_GROWING = 2.0
"""Seconds for which a picture that cannot be read may still be on its way."""
_LOOK_EVERY = 0.25
"""Seconds between two looks into a folder."""


@dataclass(frozen=True)
class CameraOptions:
    """How a source is kept to."""

    timeout: float = 10.0
    """Seconds to connect, and without anything coming, after which a source is lost."""
    pause: float = 1.0
    """Seconds before the first attempt to connect again; each pause is twice the one before."""
    longest_pause: float = 30.0
    give_up: float | None = None
    """Seconds of being lost after which it is for good; None: never."""
    waiting: int = 4
    """Frames that wait to be taken, at most."""
    ca_file: str | None = None
    """Certificates that a camera's is checked by, instead of those of the system."""

    def __post_init__(self) -> None:
        if not (self.timeout > 0 and self.pause > 0 and self.longest_pause >= self.pause):
            raise SettingError("time-out and pauses of a camera are more than 0 seconds")
        if self.waiting < 1 or (self.give_up is not None and not self.give_up >= 0):
            raise SettingError("at least 1 frame waits, and giving up takes 0 seconds or more")


@dataclass(frozen=True)
class Notice:
    """What became of the connection."""

    camera: str
    """Its name."""
    state: Literal["connected", "lost", "given up"]
    detail: str
    at: datetime


class Refused(VideoError):
    """The camera will not have us, and asking again would not help."""


def shown_address(address: str) -> str:
    """An address without what may be a secret: user, password, query and the like."""
    parts = urlsplit(address)
    if not parts.netloc:
        return address
    place = parts.netloc.rpartition("@")[2]
    path = _SECRET.sub(lambda found: f"{found[1]}=…", parts.path)
    return f"{parts.scheme}://{place}{path}{'?…' if parts.query else ''}"


class Camera:
    """A live source, to be read once; `close` may be called from any thread.

    `address`: rtsp(s)://, http(s)://, /dev/videoN (Linux) or a folder. `notice` is told what
    becomes of the connection, in the reading thread. Raises InputError for anything else.
    """

    def __init__(
        self,
        address: str,
        options: CameraOptions | None = None,
        notice: Callable[[Notice], None] | None = None,
    ) -> None:
        self.options = options or CameraOptions()
        self.name = shown_address(address)
        """The address without secrets."""
        self.kind = _kind(address, self.name)
        self.damaged = 0
        """Packets, frames and pictures that could not be read whole."""
        self.connections = 0
        """How often it was connected."""
        self._address, self._notice = address, notice
        self._stopped = threading.Event()
        self._newest = Newest[Still](self.options.waiting)
        self._clock = _Clock()
        self._index = 0
        self._known: set[str] = set()
        self._lost: float | None = None

    @property
    def dropped(self) -> int:
        """Frames that made way for newer ones."""
        return self._newest.dropped

    def close(self) -> None:
        """Ends the reading; a connection that just waits ends at its time-out by itself."""
        self._stopped.set()
        self._newest.end()

    def stills(self) -> Generator[Still]:
        """Every frame that is taken in time, as it comes, until `close`.

        `time` counts from the first frame by the camera's own clock, and goes on by this machine's
        where that begins anew; it rises strictly. `arrived` is this machine's time of day. Raises
        VideoError once the camera is given up.
        """
        reader = threading.Thread(target=self._read, name="facecctv-camera", daemon=True)
        reader.start()
        try:
            yield from self._newest
        finally:
            self.close()
            reader.join(min(1.0, self.options.timeout))

    def _read(self) -> None:
        error: BaseException | None = None
        try:
            self._keep_reading()
        except BaseException as found:  # noqa: BLE001 - raised again by whoever takes the frames
            error = found
        self._newest.end(error)

    def _keep_reading(self) -> None:
        self._lost = time.monotonic()
        pause = self.options.pause
        while not self._stopped.is_set():
            before = self.connections
            try:
                self._connection()
                reason = "the stream ended"
            except Refused as error:
                self._say("given up", str(error))
                raise
            except VideoError as error:
                reason = str(error)
            if self._stopped.is_set():
                return
            if self.connections > before:
                self._lost, pause = time.monotonic(), self.options.pause
            self._give_up_or_wait(reason, pause)
            pause = min(2 * pause, self.options.longest_pause)

    def _give_up_or_wait(self, reason: str, pause: float) -> None:
        most, since = self.options.give_up, time.monotonic() - (self._lost or 0.0)
        if most is not None and since + pause > most:
            self._say("given up", reason)
            raise VideoError(f"{reason}; given up after {since:.0f} s")
        self._say("lost", f"{reason}; again in {pause:g} s")
        self._stopped.wait(pause)

    def _connection(self) -> None:
        """Reads until the source is lost; VideoError says why."""
        first = True
        stills = self._folder() if self.kind == "folder" else self._stream()
        with closing(stills):
            for still in stills:
                if self._stopped.is_set():
                    return
                if first:
                    self.connections += 1
                    self._say("connected", "")
                    first = False
                # What lies in a folder can wait there.
                self._newest.put(still, wait=self.kind == "folder")

    def _say(self, state: Literal["connected", "lost", "given up"], detail: str) -> None:
        if self._notice is not None:
            self._notice(Notice(self.name, state, detail, datetime.now(UTC)))

    def _stream(self) -> Generator[Still]:
        try:
            with self._opened() as container:
                stream = stream_of(container)
                clockless = bool(_NO_CLOCK & set(container.format.name.split(",")))
                step = None if clockless else 1 / (stream.average_rate or _USUAL_RATE)
                self._clock.begin()
                for picture in self._pictures(container, stream):
                    yield self._still(picture, aspect_of(stream.sample_aspect_ratio), step)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            # The library's own words and causes quote the address.
            raise _told(error, self.options.timeout) from None

    def _opened(self) -> InputContainer:
        timeout = self.options.timeout
        if self.kind == "webcam":
            return av.open(self._address, format="video4linux2", timeout=(timeout, timeout))
        how = {"protocol_whitelist": _PROTOCOLS[self.kind], "analyzeduration": "2000000"}
        if self.kind == "rtsp":
            how["rtsp_transport"] = "tcp"
        if urlsplit(self._address).scheme.lower() in ("https", "rtsps"):
            paths = ssl.get_default_verify_paths()
            authorities = self.options.ca_file or paths.cafile or paths.openssl_cafile
            how |= {"tls_verify": "1", "ca_file": authorities}
        container = av.open(self._address, options=how, timeout=(timeout, timeout))
        if PLAY_LISTS & set(container.format.name.split(",")):
            container.close()
            raise Refused("is a play list: name the camera's own stream")
        return container

    def _pictures(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        packets, lost = container.demux(stream), None
        while not self._stopped.is_set() and lost is None:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                self.damaged += packet.is_corrupt
                pictures = packet.decode()
            except av.error.InvalidDataError:
                # The first packets of a stream that was joined in the middle, or damage.
                self.damaged += 1
                continue
            except av.error.FFmpegError as error:
                # What came before is still in the decoder.
                lost, pictures = error, stream.codec_context.decode(None)
            for picture in pictures:
                if picture.width * picture.height > MOST_PIXELS:
                    raise Refused("sends frames that are too large")
                self.damaged += picture.is_corrupt
                yield picture
        if lost is not None:
            raise lost

    def _still(self, picture: VideoFrame, aspect: Fraction, step: Fraction | None) -> Still:
        stated = None
        if step is not None and picture.pts is not None and picture.time_base is not None:
            stated = picture.pts * picture.time_base
        rotation = round(picture.rotation / 90) % 4 * 90
        make = partial(upright, picture, aspect, rotation)
        index, when = self._number(), self._clock(stated, step)
        return still_of(self.name, index, when, picture, make, datetime.now(UTC), rotation)

    def _number(self) -> int:
        self._index += 1
        return self._index - 1

    def _folder(self) -> Generator[Still]:
        while not self._stopped.is_set():
            try:
                found = _pictures_in(self._address)
            except OSError as error:
                raise VideoError(f"cannot be read: {error.strerror or 'gone'}") from None
            self._known &= {path for _, path in found}
            for taken, path in found:
                if path not in self._known and not self._stopped.is_set():
                    yield from self._picture(path, taken)
            self._stopped.wait(_LOOK_EVERY)

    def _picture(self, path: str, taken: int) -> Iterator[Still]:
        try:
            image = read(path).image
        except (ImageError, OSError):
            if time.time() - taken / 1e9 > _GROWING:
                self.damaged += 1
                self._known.add(path)
            return
        self._known.add(path)
        at = self._clock(Fraction(taken, 10**9), believed=True)
        now = datetime.now(UTC)
        yield Still(self.name, self._number(), at, cells_of(image), lambda: image, now)


class _Clock:
    """Times that rise strictly, whatever a stream says."""

    def __init__(self) -> None:
        self._start: int | None = None
        self._last: Fraction | None = None
        self._zero: Fraction | None = None
        self._fresh = True

    def begin(self) -> None:
        """A stream begins anew: what it calls 0 is not known."""
        self._zero, self._fresh = None, True

    def __call__(
        self, stated: Fraction | None, step: Fraction | None = None, *, believed: bool = False
    ) -> Fraction:
        """Seconds since the first frame.

        `stated` by the stream's own clock; where it says nothing, `step` seconds after the frame
        before, and without a step at this machine's time. `believed`: however far it jumps.
        """
        at = self._at(stated, step, believed)
        if self._last is not None and at <= self._last:
            at = self._last + _LEAST_STEP
        self._last, self._fresh = at, False
        return at

    def _at(self, stated: Fraction | None, step: Fraction | None, believed: bool) -> Fraction:
        now = self._now()
        following = now if self._last is None or self._fresh or step is None else self._last + step
        if stated is None:
            return following
        if self._zero is None:
            self._zero = stated - following
        at = stated - self._zero
        if not believed and self._last is not None and not -_JUMP < at - self._last < _JUMP:
            self._zero, at = stated - now, now
        return at

    def _now(self) -> Fraction:
        now = time.monotonic_ns()
        if self._start is None:
            self._start = now
        return Fraction(now - self._start, 10**9)


def _kind(address: str, name: str) -> Kind:
    scheme = urlsplit(address).scheme.lower()
    if scheme in _SCHEMES and "://" in address:
        if not urlsplit(address).hostname:
            raise InputError(f"{name}: names no camera")
        return _SCHEMES[scheme]
    if _WEBCAM.fullmatch(address):
        return "webcam"
    if os.path.isdir(address):  # noqa: PTH112 - names stay as they were given
        return "folder"
    if os.path.exists(address):  # noqa: PTH110
        raise InputError(f"{name}: is a file, no camera: facecctv footage goes through files")
    raise InputError(f"{name}: is no rtsp:// or http:// address, no /dev/videoN and no folder")


def _pictures_in(folder: str) -> list[tuple[int, str]]:
    """When each picture was last written to, nanoseconds, and its path; in order of that."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or Path(entry.name).suffix.lower() not in SUFFIXES:
                continue
            found.append((entry.stat().st_mtime_ns, entry.path))
    return sorted(found)


def _told(error: Exception, timeout: float) -> VideoError:
    """What is the matter, in words that quote no address."""
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return Refused("refuses the user name or the password")
    if isinstance(error, av.error.HTTPNotFoundError):
        return VideoError("has no stream at this address")
    if isinstance(error, av.error.ExitError | TimeoutError):
        return VideoError(f"sent nothing for {timeout:g} s")
    if isinstance(error, av.error.InvalidDataError):
        return VideoError("sends nothing that is a video")
    if getattr(error, "errno", None) == errno.EIO:
        return VideoError("the stream ended")
    reason = getattr(error, "strerror", None) or type(error).__name__
    return VideoError(f"cannot be read: {reason}")
