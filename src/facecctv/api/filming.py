"""What the jobs do: find every person of a video, or cover their faces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from facecctv import __version__
from facecctv.api.clips import MATROSKA, Clip, Room
from facecctv.api.desk import Desk, Workshop
from facecctv.api.jobs import Job, Kind
from facecctv.api.problems import Problem
from facecctv.errors import MissingExtra, ModelNotFound, SettingError, VideoError
from facecctv.footage.attention import AttentionOptions, Cells
from facecctv.footage.covering import ROUNDS, Covering, Path
from facecctv.footage.decoding import Still
from facecctv.footage.examine import ExamineOptions, examine
from facecctv.footage.joining import NOT_JOINED, Joiner, groups
from facecctv.footage.memory import Sink
from facecctv.footage.people import Edit, Person, gathered
from facecctv.footage.pictures import pictures
from facecctv.footage.portray import LARGE, portray
from facecctv.footage.redact import RedactOptions
from facecctv.footage.track import TrackOptions
from facecctv.footage.video import Facts, Video
from facecctv.footage.writing import mp4_holds
from facecctv.identity.calibrate import calibration_of
from facecctv.image import encode
from facecctv.schema import footage as form
from facecctv.types import Face, Floats, Frame, Image, Track
from facecctv.vision.detect import DetectOptions, Detector
from facecctv.vision.enhance import FaceEnhancer
from facecctv.vision.quality import assess

_MOST_RATE = 240
"""Frames a second; a video with more of them than this in the longest time allowed is refused."""
_LOOKING = 0.9
"""Of the progress of a footage job: the rest is fusing and enhancing."""


@dataclass(frozen=True)
class FootageWishes:
    """What a footage job is asked for."""

    looking: DetectOptions = field(default_factory=DetectOptions)
    max_latency: float = 0.2
    fuse: int | None = 2
    """Times; None: nothing is fused."""
    enhance: int | None = None
    """Times; None: nothing is enhanced."""
    forensic: bool = False


@dataclass(frozen=True)
class RedactWishes:
    """What a redaction is asked for."""

    options: RedactOptions = field(default_factory=RedactOptions)
    looking: DetectOptions = field(default_factory=DetectOptions)
    sound: bool = True
    check: float = 0.2


class _Watched:
    """One reading of a video: minds the limits and tells how far it is."""

    def __init__(self, job: Job, desk: Desk, facts: Facts, rounds: int, share: float) -> None:
        self._job = job
        self._longest = desk.limits.max_video_seconds
        self._all = rounds * (facts.frames or 0)
        self._share = share
        self._done = 0
        self.last = 0.0
        """Time of the last frame, seconds."""
        self.frames = 0

    def __call__(self, frame: Frame | Still) -> None:
        self._job.check()
        self.last, self.frames = float(frame.time), frame.index + 1
        if self.last > self._longest or self.frames > self._longest * _MOST_RATE:
            raise VideoError(f"is longer than the {self._longest} seconds that are allowed")
        self._done += 1
        if self._all:
            self._job.progress = self._share * min(1.0, self._done / self._all)


def opened(clip: Clip, desk: Desk) -> Video:
    """The video in a clip; Problem 413 where it is larger or longer than allowed, 415 for none, 503
    where this program comes without video.
    """
    try:
        video = Video(clip.data, desk.limits.max_frame_pixels)
    except VideoError as error:
        if "too large" in str(error):
            raise Problem(413, str(error), reason="video-too-large") from error
        raise Problem(415, str(error), reason="not-a-video") from error
    except MissingExtra as error:
        raise Problem(503, str(error), reason="not-installed") from error
    longest, duration = desk.limits.max_video_seconds, video.facts.duration
    if duration is not None and duration > longest:
        detail = f"a video may last {longest} seconds, not {float(duration):.0f}"
        raise Problem(413, detail, reason="video-too-large")
    return video


class _Few:
    """A detector that reports no more than the best few faces, and counts how often it looked."""

    def __init__(self, detect: Detector, most: int) -> None:
        self._detect, self._most = detect, most
        self.looks = 0

    def __call__(self, image: Image) -> list[Face]:
        self.looks += 1
        return self._detect(image)[: self._most]

    def within(self, image: Image, changed: Cells | None, near: Floats) -> list[Face]:
        """As `Detector.within`."""
        self.looks += 1
        return self._detect.within(image, changed, near)[: self._most]


def _detector(shop: Workshop, options: DetectOptions, most: int) -> tuple[_Few, float]:
    detect, sure = shop.watcher(options)
    return _Few(detect, most), sure


def _joiner(shop: Workshop, desk: Desk) -> Joiner | None:
    try:
        recogniser = shop.recogniser()
    except ModelNotFound:
        return None
    own = desk.settings.calibration
    if own is None and "calibration" not in recogniser.card.extra:
        return None
    return Joiner(recogniser, calibration_of(recogniser.card) if own is None else own)


def _enhancer(shop: Workshop, wishes: FootageWishes) -> FaceEnhancer | None:
    if wishes.enhance is None:
        return None
    stage = shop.enhancer(wishes.enhance, below=LARGE)
    if wishes.forensic and stage.origin.step == "generative":
        raise SettingError("forensic work refuses a generative enhancer")
    return stage


def check_models(desk: Desk, wishes: FootageWishes) -> None:
    """Raises ModelNotFound or Problem 422 for what cannot be had, before a video is worked on."""
    try:
        _enhancer(desk.workshop, wishes)
    except SettingError as error:
        raise Problem(422, str(error), reason="option") from error


@dataclass(frozen=True)
class _Portrait:
    """What is told and shown of a person; numbers may change."""

    told: form.Person
    files: dict[str, bytes]
    """PNG by name."""


class FootageWork:
    """Every person once; people can be put right by hand afterwards."""

    kind: Kind = "footage"

    def __init__(self, desk: Desk, clip: Clip, source: str, wishes: FootageWishes) -> None:
        self.clip, self.source = clip, source
        self._desk, self._wishes = desk, wishes
        self._room: Room = desk.room
        self._held = 0
        self._tracks: list[Track] = []
        self._groups: list[tuple[int, ...]] = []
        self._edits: tuple[Edit, ...] = ()
        self._portraits: dict[tuple[int, ...], _Portrait] = {}
        self._facts: dict[str, object] = {}
        self.result: form.Footage | None = None
        self._shown: dict[int, dict[str, bytes]] = {}

    @property
    def passages(self) -> int:
        """That have been found so far."""
        return len(self._tracks)

    def run(self, job: Job) -> None:
        """As `jobs.Work.run`."""
        desk, wishes = self._desk, self._wishes
        shop = desk.workshop.during(job.check)
        video = Video(self.clip.data, desk.limits.max_frame_pixels)
        detect, sure = _detector(shop, wishes.looking, desk.limits.max_faces)
        how = ExamineOptions(AttentionOptions(wishes.max_latency), TrackOptions(high=sure))
        watched = _Watched(job, desk, video.facts, 1, _LOOKING)
        for track in examine(video, detect, assess, how, tell=watched):
            self._hold(sum(one.crop.image.nbytes for one in track.best if one.crop is not None))
            self._tracks.append(track)
        joiner = _joiner(shop, desk)
        self._groups = groups(self._tracks, joiner)
        self._facts = {
            "source": self.source,
            "sha256": hashlib.sha256(self.clip.data).hexdigest(),
            "width": video.facts.width,
            "height": video.facts.height,
            "duration": max(0.0, watched.last),
            "frames": watched.frames,
            "looks": detect.looks,
            "damaged": video.damaged,
            "joined_by": None if joiner is None else joiner.name,
            "notes": None if joiner else (NOT_JOINED,),
        }
        self._portray(job)

    def edit(self, edit: Edit) -> Callable[[Job], None]:
        """What is to be run for people to be joined or parted; EntryError for unknown ones."""
        edits = (*self._edits, edit)
        gathered(self._tracks, self._groups, edits)
        self._edits = edits
        return self._portray

    def picture(self, person: int, name: str) -> bytes | None:
        """PNG; None where there is none of this name."""
        return self._shown.get(person, {}).get(name)

    def wipe(self) -> None:
        """As `jobs.Work.wipe`."""
        self._tracks, self._portraits, self._shown, self.result = [], {}, {}, None
        self._room.release(self._held)
        self._held = 0
        self.clip.release()

    def _hold(self, count: int) -> None:
        self._room.hold(count)
        self._held += count

    def _portray(self, job: Job) -> None:
        people = gathered(self._tracks, self._groups, self._edits)
        stage = _enhancer(self._desk.workshop.during(job.check), self._wishes)
        told: list[form.Person] = []
        shown: dict[int, dict[str, bytes]] = {}
        for count, person in enumerate(people):
            job.check()
            made = self._portrait(person, stage)
            told.append(_numbered(made, person.number))
            shown[person.number] = made.files
            job.progress = _LOOKING + (1 - _LOOKING) * (count + 1) / len(people)
        edits = [form.Edit(kind=e.kind, people=e.people, passage=e.track) for e in self._edits]
        facts = self._facts | {"people": tuple(told), "edits": tuple(edits) or None}
        self._shown, self.result = shown, form.Footage.model_validate(facts)

    def _portrait(self, person: Person, stage: FaceEnhancer | None) -> _Portrait:
        """Made once for the same passages."""
        key = tuple(track.number for track in person.tracks)
        if key not in self._portraits:
            one = portray(person, scale=self._wishes.fuse, enhance=stage)
            source = {
                "Software": f"FaceCCTV {__version__}",
                "Source SHA-256": str(self._facts["sha256"]),
            }
            files = {
                f"{made.name}.png": encode(made.image, metadata=source | made.words)
                for made in pictures(one)
            }
            self._hold(sum(map(len, files.values())))
            told = form.Person.of_shown(one)
            self._portraits[key] = _Portrait(told, files)
        return self._portraits[key]


def _numbered(made: _Portrait, number: int) -> form.Person:
    """With the number that the person has now, and where the pictures are below the job."""
    at = {name: f"people/{number}/{name}" for name in made.files}
    files = form.PersonFiles(
        crops=tuple(path for name, path in at.items() if name.startswith("crop-")),
        fused=at.get("fused.png"),
        changes=at.get("changes.png"),
        enhanced=at.get("enhanced.png"),
    )
    return made.told.model_copy(update={"number": number, "files": files})


class RedactWork:
    """A video with everybody covered, or everybody but those who are kept."""

    kind: Kind = "redact"

    def __init__(
        self,
        desk: Desk,
        clip: Clip,
        source: str,
        wishes: RedactWishes,
        kept: Sequence[form.Person] = (),
    ) -> None:
        self.clip, self.source = clip, source
        self._desk, self._wishes = desk, wishes
        self._kept = tuple(kept)
        self.output: Clip | None = None
        self.suffix = ".mp4"
        self.result: form.Redacted | None = None

    def run(self, job: Job) -> None:
        """As `jobs.Work.run`."""
        desk, wishes = self._desk, self._wishes
        shop = desk.workshop.during(job.check)
        video = Video(self.clip.data, desk.limits.max_frame_pixels)
        detect, sure = _detector(shop, wishes.looking, desk.limits.max_faces)
        covering = Covering(
            detect,
            shop.pipeline(wishes.looking).detect,
            sure,
            wishes.options,
            wishes.sound,
            wishes.check,
            self._paths,
        )
        watched = _Watched(job, desk, video.facts, ROUNDS, 1.0)
        whole = not wishes.sound or mp4_holds(video.facts.audio)
        self.suffix = ".mp4" if whole else ".mkv"
        sink = Sink(desk.limits.max_video_bytes, desk.room.hold)
        output = Clip(sink.data, desk.room)
        output.kind = "video/mp4" if whole else MATROSKA
        try:
            done, sound = covering(video, (sink, self.suffix), watched)
        except BaseException:
            output.release()
            raise
        self.output = output
        self.result = form.Redacted.of(
            done,
            source=self.source,
            sha256=hashlib.sha256(self.clip.data).hexdigest(),
            output=f"{PurePath(self.source).stem or 'video'}-redacted{self.suffix}",
            output_sha256=hashlib.sha256(output.data).hexdigest(),
            style=wishes.options.style,
            sound=sound,
            kept=tuple(person.number for person in self._kept) or None,
            spared=done.spared if self._kept else None,
        )

    @property
    def _paths(self) -> tuple[Path, ...]:
        return tuple(one.path for person in self._kept for one in person.passages)

    def wipe(self) -> None:
        """As `jobs.Work.wipe`."""
        self.result = None
        if self.output is not None:
            self.output.release()
        self.clip.release()
