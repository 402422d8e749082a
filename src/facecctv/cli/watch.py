"""`facecctv watch`."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from facecctv import build
from facecctv.cli import options, people
from facecctv.cli.footage import MaxLatency
from facecctv.cli.looking_for import Asking, LookingFor
from facecctv.cli.mqtt import Mqtt
from facecctv.cli.sending import Sender
from facecctv.cli.watch_events import Keeping, Teller
from facecctv.cli.watch_page import Page
from facecctv.cli.watch_work import Ended, Item, Work, Worker
from facecctv.cli.webhook import Webhook
from facecctv.errors import InputError, SettingError
from facecctv.footage.attention import AttentionOptions
from facecctv.footage.camera import Camera, CameraOptions, Notice
from facecctv.footage.examine import ExamineOptions
from facecctv.footage.track import TrackOptions
from facecctv.footage.watched import Live
from facecctv.identity.calibrate import RATE, calibration_of
from facecctv.identity.matching import LIMIT
from facecctv.image import shown
from facecctv.settings import Settings
from facecctv.vision.detect import DetectOptions, Detector
from facecctv.vision.recognise import Recogniser
from facecctv.vision.single import SingleFaceDetector

if TYPE_CHECKING:
    from facecctv.build import Workshop
    from facecctv.identity.watchlist import Watchlist

TOKEN = "FACECCTV_WEBHOOK_TOKEN"  # noqa: S105 - the variable's name
MQTT_PASSWORD = "FACECCTV_MQTT_PASSWORD"  # noqa: S105 - the variable's name
_EVENTS = 256
"""That wait to be told; the cameras' work waits for room."""
_TICK = 0.2


def watch(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="rtsp(s):// and http(s):// addresses, /dev/videoN, folders that pictures come to.",
            show_default=False,
        ),
    ] = None,
    sources_file: Annotated[
        Path | None,
        typer.Option(
            "--sources",
            help="A file with an address in each line, so that no password is on the command line.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Keep events and best sights in this folder.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="End after so long.", show_default=False)
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Of each camera at most.", show_default=False)
    ] = None,
    watchlist: Annotated[
        Path | None,
        typer.Option("--watchlist", help="Search everybody in this list.", show_default=False),
    ] = None,
    key_file: people.KeyFile = None,
    rate: people.Rate = RATE,
    limit: Annotated[int, typer.Option(min=1, help="Candidates named at most.")] = LIMIT,
    calibration: people.CalibrationFile = None,
    by: people.By = None,
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "",
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Post each event as JSON there.", show_default=False),
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Publish each event as JSON there: mqtts://user@broker/topic.",
            show_default=False,
        ),
    ] = None,
    page: Annotated[
        bool, typer.Option("--page", help="Show cameras and events on a page of this machine.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Of the page.", show_default="any free one"),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Loopback address of the page.", show_default="a random one")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds without a picture: the camera is lost.")
    ] = 10.0,
    give_up: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds of being lost: for good.", show_default="never"),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(help="Certificates to check cameras by (https, rtsps).", show_default=False),
    ] = None,
    threshold: options.Threshold = None,
    min_face: options.MinFace = 0.0,
    max_latency: MaxLatency = 0.2,
    model: options.Model = build.FACE_DETECTOR,
    embedder: people.Embedder = build.FACE_EMBEDDER,
    debug: options.Debug = False,
) -> int:
    """Watch cameras: say who appears and leaves, and who of a watch-list it may be.

    Goes on until interrupted (Ctrl-C), --seconds or --frames. Lost cameras are connected to again.
    Nothing is kept without -o. The exit status is 1 where a camera was given up. The page of --page
    is shown to browsers of this machine alone, by the address printed, and ends with the watch.
    """
    people.check_rate(rate)
    room = Page(page, port, host)
    room.check()
    addresses = [*(sources or []), *_listed(sources_file)]
    if not addresses:
        raise typer.BadParameter("name a camera")
    settings = options.environment()
    how = options.look(threshold, min_face, "auto", "auto")
    shared = build.workshop(settings)
    detect, sure = _detector(settings, shared, how, model)
    examining = ExamineOptions(AttentionOptions(max_latency), TrackOptions(high=sure), sights=1)
    items: queue.Queue[Item] = queue.Queue(_EVENTS)
    looking = CameraOptions(timeout, give_up=give_up, ca_file=str(ca_file) if ca_file else None)
    cameras = [_camera(one, looking, items) for one in dict.fromkeys(addresses)]
    live = Live(cameras, searching=watchlist is not None) if page else None
    with ExitStack() as stack:
        asking = None
        if watchlist is not None:
            recogniser = _recogniser(settings, shared, embedder)
            opened = _opened(stack, watchlist, key_file, recogniser.name)
            scale = (
                calibration_of(recogniser.card)
                if calibration is None
                else people.calibration_in(calibration, recogniser.name)
            )
            asked = Asking(scale, rate, limit, people.who(by), reason)
            asking = LookingFor(watchlist, opened, recogniser, asked)
        senders = _senders(stack, settings, webhook, mqtt)
        teller = Teller(as_json, Keeping.begun(out), asking, senders, live)
        stack.callback(teller.close)
        if live is not None:
            stack.enter_context(room.open(settings, shared, live))
        end = stack.enter_context(_asked_to_end())
        work = Work(detect, examining, frames, items)
        workers = [Worker(one, work, None if live is None else live.of(one)) for one in cameras]
        until = None if seconds is None else time.monotonic() + seconds
        with _closing(workers):
            return _run(workers, items, teller, lambda: end.is_set() or _over(until), debug)


def _run(
    workers: list[Worker],
    items: queue.Queue[Item],
    teller: Teller,
    over: Callable[[], bool],
    debug: bool,
) -> int:
    """Until all cameras have ended, which they do in good order once it is over; exit status."""
    running, failed = len(workers), False
    while running:
        if over():
            _close(workers)
        try:
            item = items.get(timeout=_TICK)
        except queue.Empty:
            continue
        if isinstance(item, Ended):
            running -= 1
            failed |= teller.ended(item, debug)
            continue
        camera, told = item
        if isinstance(told, Notice):
            teller.notice(camera, told)
        else:
            teller.event(camera, told)
    return int(failed)


def _over(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until


@contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """Set by Ctrl-C or SIGTERM, so that nothing is told by half; a second one ends at once."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {one: signal.signal(one, ask) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _close(workers: list[Worker]) -> None:
    for worker in workers:
        worker.close()


@contextmanager
def _closing(workers: list[Worker]) -> Iterator[None]:
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        _close(workers)


def _listed(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"{shown(path)}: cannot be read: {reason}") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _camera(address: str, how: CameraOptions, items: queue.Queue[Item]) -> Camera:
    camera = Camera(address, how, notice=lambda notice: items.put((camera, notice)))
    return camera


def _detector(
    settings: Settings, shared: Workshop, how: DetectOptions, model: str
) -> tuple[Detector | SingleFaceDetector, float]:
    """As `build.watching_detector`, over the page's model if it is the same."""
    if model == build.FACE_DETECTOR:
        return shared.watcher(how)
    return build.watching_detector(settings, how, model)


def _recogniser(settings: Settings, shared: Workshop, model: str) -> Recogniser:
    if model == build.FACE_EMBEDDER:
        return shared.recogniser()
    return build.recogniser(settings, model, mirror=True)


def _opened(stack: ExitStack, path: Path, key_file: Path | None, embedder: str) -> Watchlist:
    """The list, open until the stack ends; its templates are of this embedder."""
    from facecctv.identity.watchlist import Watchlist  # late: needs cryptography

    opened = stack.enter_context(Watchlist(path, people.secret(key_file)))
    opened.check_embedder(embedder)
    return opened


def _senders(
    stack: ExitStack, settings: Settings, webhook: str | None, mqtt: str | None
) -> list[Sender]:
    """Whoever is to be told elsewhere, until the stack ends."""
    senders: list[Sender] = []
    for option, address in (("--webhook", webhook), ("--mqtt", mqtt)):
        if address is None:
            continue
        if settings.offline:
            raise SettingError(f"FACECCTV_OFFLINE is set: {option} would need the network")
        if option == "--webhook":
            senders.append(Webhook(address, os.environ.get(TOKEN, "")))
        else:
            senders.append(Mqtt(address, os.environ.get(MQTT_PASSWORD, "")))
        stack.callback(senders[-1].close)
    return senders
