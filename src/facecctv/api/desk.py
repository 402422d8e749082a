"""What happens to every request with a picture, from the door to the reply."""

from __future__ import annotations

import asyncio
import math
import operator
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from facecctv.api.clips import Room
from facecctv.api.jobs import Jobs
from facecctv.api.lanes import Lane, Leave, Left
from facecctv.api.limits import Gate, ServerLimits
from facecctv.api.metrics import Metrics
from facecctv.api.problems import Problem
from facecctv.api.security import Keys, client
from facecctv.api.served import ServedList
from facecctv.api.uploads import Upload, receive
from facecctv.errors import (
    FaceCCTVError,
    ImageError,
    LimitError,
    LogTampered,
    MissingExtra,
    ModelNotFound,
    OutputError,
    WatchlistBusy,
    WatchlistError,
)
from facecctv.evidence.steps import Modelled, Tool
from facecctv.footage.watched import Live
from facecctv.identity.calibrate import Calibration
from facecctv.image import Limits, Picture, decode
from facecctv.image.reading import open_header
from facecctv.models.card import Card
from facecctv.pipeline import Pipeline
from facecctv.vision.attributes import AttributeEstimator
from facecctv.vision.bodies import BodyFinder
from facecctv.vision.colourise import ColouriseOptions, FaceColouriser
from facecctv.vision.detect import DetectOptions, Detector
from facecctv.vision.drift import DriftMeter
from facecctv.vision.enhance import EnhanceOptions, FaceEnhancer
from facecctv.vision.recognise import Recogniser


class Workshop(Protocol):
    """Where pipelines come from; `facecctv.build.Workshop` is the real one."""

    def pipeline(self, options: DetectOptions | None = None, margin: float = 0.35) -> Pipeline:
        """A pipeline with these options, over models that are loaded once."""

    def during(self, check: Callable[[], None]) -> Workshop:
        """One over the same models that calls `check` before each run of a network."""

    def watcher(self, options: DetectOptions | None = None) -> tuple[Detector, float]:
        """A detector for video, which reports unsure faces too, and the score of a sure one."""

    def enhancer(
        self, scale: int = 4, options: EnhanceOptions | None = None, below: float = math.inf
    ) -> FaceEnhancer:
        """The stage that enhances faces; raises ModelNotFound where there is no such model."""

    def colouriser(
        self, options: ColouriseOptions | None = None, *, only_grey: bool = True
    ) -> FaceColouriser:
        """The stage that colours faces; raises ModelNotFound where there is no such model."""

    def bodies(self, options: DetectOptions | None = None) -> BodyFinder:
        """The stage that finds people; raises ModelNotFound where there is no model for it."""

    def recogniser(self) -> Recogniser:
        """What embeds faces; raises ModelNotFound where there is no such model."""

    def estimator(self) -> AttributeEstimator:
        """What estimates age and gender; raises ModelNotFound where there is no such model."""

    def tool(self, step: Modelled) -> Tool:
        """What performs a step of a chain; raises ModelNotFound where its model is missing."""

    def meter(self) -> DriftMeter | None:
        """What measures identity drift; None where the model for it is missing."""

    def cards(self) -> list[Card]:
        """What the models that are installed say of themselves."""


@dataclass(frozen=True)
class ServerSettings:
    """How the server behaves towards its clients."""

    limits: ServerLimits = field(default_factory=ServerLimits)
    keys: Keys = field(default_factory=Keys)
    """With none, everyone who can reach the server may use it."""
    origins: tuple[str, ...] = ()
    """Web sites whose pages may use it, such as https://example.org (CORS)."""
    hosts: tuple[str, ...] = ()
    """Names that it answers to; with none, any."""
    calibration: Calibration | None = None
    """What similarities are worth; by default what the recogniser's card says."""
    watchlist: ServedList | None = None
    """Whom faces may be searched among. It is not closed with the server."""
    live: Live | None = None
    """Cameras that are being watched, for clients to look on."""
    https: bool = False
    """Clients reach it by HTTPS, and are told to stay with that."""


@dataclass(frozen=True)
class Seen:
    """A decoded picture on its way through a thread."""

    picture: Picture
    name: str
    """As the client named it."""
    leave: Leave
    """To be asked between steps."""
    data: bytearray
    """The file as received; wiped when the reply is made."""
    boxes: object = None
    """As received, unchecked; None if none were."""


T = TypeVar("T")
Work = Callable[[Seen], Response]
WorkOnAll = Callable[[Sequence[Seen]], Response]
Load = Callable[[int, int], int]
"""Width and height of a picture -> pixels of the work that it makes: which lane it waits in."""


SMALL_AT_ONCE = 2
"""Small pictures in work: one is decoded while the network looks at another."""

MISSING = "a model that this needs is not installed here (GET /v1/models lists those that are)"


class Desk:
    """Takes in requests with pictures and hands out replies."""

    def __init__(self, workshop: Workshop, settings: ServerSettings) -> None:
        self.workshop = workshop
        self.settings = settings
        self.limits = settings.limits
        self.gate = Gate(settings.limits)
        self.metrics = Metrics()
        self._looking = Lane("header", 2, settings.limits.requests)
        self._small = Lane("small", SMALL_AT_ONCE, settings.limits.queue)
        self._large = Lane("large", 1, settings.limits.queue)
        self._opening = Lane("video", 1, settings.limits.queue)
        self.room = Room(settings.limits.video_bytes)
        self.jobs = Jobs(settings.limits)
        self._show()

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """In the order in which a picture meets them; then that of videos."""
        return self._looking, self._small, self._large, self._opening

    def close(self) -> None:
        """Ends the threads, and wipes all jobs."""
        self.jobs.close()
        for lane in self.lanes:
            lane.close()

    async def answer(
        self,
        request: Request,
        work: Work,
        field_name: str = "file",
        load: Load = operator.mul,
    ) -> Response:
        """The reply to a request with one picture; `work` runs in a thread.

        Raises Problem for everything that is the request's fault or the server's lack of room.
        """

        def one(seen: Sequence[Seen]) -> Response:
            reply = work(seen[0])
            reply.headers["X-Input-SHA256"] = seen[0].picture.sha256
            return reply

        return await self.answer_all(request, one, (field_name,), load)

    async def answer_all(
        self,
        request: Request,
        work: WorkOnAll,
        names: Sequence[str],
        load: Load = operator.mul,
    ) -> Response:
        """As `answer` for a request with a picture of each of these names; a Problem names the
        picture that it is about where there are several.
        """
        with self.gate.enter(client(request, self.settings.keys)):
            try:
                uploads = await receive(request, self.limits, self.gate, names)
            except ClientDisconnect as error:
                raise Problem(400, "the upload broke off") from error
            named = dict(zip(names, uploads, strict=True))
            try:
                return await _while_there(request, self._work(named, work, load))
            finally:
                for upload in uploads:
                    upload.wipe()
                    self.gate.release(len(upload.data))

    async def look(self, work: Callable[[], T]) -> T:
        """The result of a short look at a video, off the event loop; Problem as `answer`.

        It has a lane of its own: one that takes long to open keeps no picture waiting.
        """
        return await self._opening.run(work, Leave(), self.limits.work_seconds)

    async def answer_plain(self, request: Request, work: Callable[[], Response]) -> Response:
        """The reply to a request without a picture whose work may block; it runs in a thread.

        Raises Problem as `answer`.
        """
        with self.gate.enter(client(request, self.settings.keys)):
            return await asyncio.to_thread(_plainly, work)

    async def _work(self, uploads: Mapping[str, Upload], work: WorkOnAll, load: Load) -> Response:
        loop = asyncio.get_running_loop()
        end = loop.time() + self.limits.work_seconds
        leave = Leave()
        limits = Limits(self.limits.max_bytes, self.limits.max_pixels)
        sizes = await self._looking.run(
            lambda: _each(uploads, lambda upload: _size(upload, limits)),
            leave,
            self.limits.work_seconds,
        )
        is_large = sum(load(*size) for size in sizes) > self.limits.large_pixels
        lane = self._large if is_large else self._small

        def run() -> Response:
            return _decoded(uploads, limits, leave, work)

        return await lane.run(run, leave, max(0.001, end - loop.time()))

    def _show(self) -> None:
        gauge = self.metrics.gauge
        for name, meaning, value in _LANE_GAUGES:
            for lane in self.lanes:
                gauge(f'{name}{{lane="{lane.name}"}}', meaning, partial(value, lane))
        gauge(
            "facecctv_inside", "Requests with a picture being answered.", lambda: self.gate.inside
        )
        gauge("facecctv_jobs", "Videos waiting, at work or done.", lambda: len(self.jobs))
        gauge("facecctv_video_bytes", "Bytes held for videos.", lambda: self.room.held)
        gauge("facecctv_upload_bytes", "Bytes of uploads in memory.", lambda: self.gate.held)


_LANE_GAUGES: tuple[tuple[str, str, Callable[[Lane], float]], ...] = (
    ("facecctv_waiting", "Pictures that wait for a thread.", lambda lane: lane.waiting),
    ("facecctv_dropped", "Pictures nobody waited for any more.", lambda lane: lane.dropped),
    ("facecctv_oldest_seconds", "Age of the longest running work.", Lane.oldest),
)


def _size(upload: Upload, limits: Limits) -> tuple[int, int]:
    """Width and height from the header alone, as stored: perhaps lying on its side."""
    try:
        with open_header(upload.data, limits) as (_, source):
            return int(source.size[0]), int(source.size[1])
    except LimitError as error:
        raise Problem(413, str(error)) from error
    except ImageError as error:
        raise Problem(415, str(error)) from error
    except MissingExtra as error:
        raise Problem(415, "HEIC pictures are not supported by this server; send JPEG") from error


def _each(uploads: Mapping[str, Upload], look: Callable[[Upload], T]) -> list[T]:
    """Of each picture in order; a Problem names the one at fault of several."""
    found = []
    for name, upload in uploads.items():
        try:
            found.append(look(upload))
        except Problem as problem:
            if len(uploads) == 1:
                raise
            raise problem.of(name) from problem
    return found


def _decoded(
    uploads: Mapping[str, Upload], limits: Limits, leave: Leave, work: WorkOnAll
) -> Response:
    seen: list[Seen] = []

    def read(upload: Upload) -> None:
        leave.check()
        try:
            picture = decode(upload.data, limits)
        except LimitError as error:
            raise Problem(413, str(error)) from error
        except ImageError as error:
            raise Problem(422, str(error)) from error
        seen.append(Seen(picture, upload.name, leave, upload.data, upload.boxes))

    try:
        _each(uploads, read)
        leave.check()
        return _plainly(lambda: work(seen))
    except MemoryError as error:
        raise Problem(503, "not enough memory for this picture", {"Retry-After": "10"}) from error
    finally:
        for one in seen:
            one.picture.image.fill(0)


def _plainly(work: Callable[[], Response]) -> Response:
    """Says what the server lacks without naming its files."""
    try:
        return work()
    except ModelNotFound as error:
        raise Problem(503, MISSING, reason="not-installed") from error
    except WatchlistBusy as error:
        raise Problem(503, "the watch-list is in use", {"Retry-After": "10"}) from error
    except (WatchlistError, LogTampered, OutputError) as error:
        detail = "the watch-list or its log cannot be used: tell whoever runs this server"
        raise Problem(503, detail, {"Retry-After": "60"}) from error
    except FaceCCTVError as error:
        # Its message may name files of the server.
        raise Problem(503, "the model cannot be used", {"Retry-After": "60"}) from error


async def _while_there(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """The result of the work; cancels it when the client goes away (Problem 400, unread)."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Problem(400, "the client left")
        return task.result()
    except Left as error:
        raise Problem(503, "stopped", {"Retry-After": "5"}) from error
    finally:
        for pending in (task, gone):
            pending.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
