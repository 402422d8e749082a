"""`facecctv footage`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from facecctv import __version__, build
from facecctv.cli import batch, footage_page, footage_results, improve, options, outputs, watching
from facecctv.errors import ModelNotFound, SettingError
from facecctv.footage.attention import AttentionOptions
from facecctv.footage.decoding import Still
from facecctv.footage.examine import ExamineOptions, examine
from facecctv.footage.hardware import OFF, Hardware, hardware
from facecctv.footage.joining import NOT_JOINED, Joiner, groups
from facecctv.footage.journal import Journal
from facecctv.footage.people import Edit, gathered
from facecctv.footage.portray import portray
from facecctv.footage.track import TrackOptions
from facecctv.footage.video import Video
from facecctv.identity.calibrate import calibration_of
from facecctv.image import shown, write_atomic
from facecctv.schema.footage import Footage
from facecctv.settings import Settings
from facecctv.types import Track
from facecctv.vision.detect import Detector
from facecctv.vision.quality import assess
from facecctv.vision.single import SingleFaceDetector

MaxLatency = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", min=0, help="After how long a new face is noticed at the latest."
    ),
]
_NOT_JOINED = f"{NOT_JOINED} (--merge joins by hand)"


def footage(
    inputs: Annotated[
        list[str],
        typer.Argument(help="Videos, folders (with all inside) or globs.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path(
        "facecctv-footage"
    ),
    as_json: options.Json = False,
    threshold: options.Threshold = None,
    min_face: options.MinFace = 0.0,
    max_latency: MaxLatency = 0.2,
    fuse: Annotated[
        Literal["x2", "x4", "off"],
        typer.Option(help="Make one face of a person's best sights, so many times as large."),
    ] = "x2",
    enhance: improve.Enhance = None,
    colourise: improve.Colourise = "off",
    forensic: improve.Forensic = False,
    merge: Annotated[
        list[str] | None,
        typer.Option(metavar="1,3", help="These people are one; may be given several times."),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(metavar="1:4", help="Passage 4 of person 1 is somebody else."),
    ] = None,
    hwaccel: Annotated[
        str,
        typer.Option(
            metavar="off|auto|NAME",
            help="Decode by hardware such as cuda or vaapi; software where that does not work.",
        ),
    ] = OFF,
    model: options.Model = build.FACE_DETECTOR,
    debug: options.Debug = False,
) -> int:
    """Find every person in videos once, at their best.

    Writes for each video a folder with the best crops of each person, one face fused of many
    frames, that enhanced, a contact sheet and result.json, and over all OUT/footage.html to look
    at. Interrupted, it goes on where it was when called again; results of changed options are made
    anew. --merge and --split are kept in the result.
    """
    edits = _edits(merge or [], split or [])
    found = watching.videos(inputs, out)
    if not found:
        raise typer.BadParameter(f"no video in {', '.join(inputs)}")
    if edits and len(found) > 1:
        raise typer.BadParameter("--merge and --split name the people of one video")
    try:
        devices = hardware(hwaccel)
    except SettingError as error:
        raise typer.BadParameter(str(error)) from error
    settings = options.environment()
    how = options.look(threshold, min_face, "auto", "auto")
    detect, sure = build.watching_detector(settings, how, model)
    stages = improve.stages(settings, enhance, colourise, forensic)
    joiner = _joiner(settings)
    for note in (stages.note, "" if joiner else f"Note: {_NOT_JOINED}."):
        if note:
            print(note, file=sys.stderr)
    examining = ExamineOptions(AttentionOptions(max_latency), TrackOptions(high=sure))
    scale = None if fuse == "off" else int(fuse[1:])
    work = _Work(detect, sure, examining, joiner, scale, stages, edits, devices)
    status = 0
    with watching.ended_by_signals(), outputs.workshop(out) as workshop:
        job = _Job(work, found, out, workshop)
        try:
            for source in found:
                status |= batch.run([source], job, _describe, as_json=as_json, debug=debug)
        except KeyboardInterrupt:
            print("What was done is kept: the same command goes on from there.", file=sys.stderr)
            raise
        finally:
            write_atomic(out / footage_page.INDEX, footage_page.render(out).encode())
    if not as_json and job.done:
        print(f"\nOpen {shown(out / footage_page.INDEX)}", file=sys.stderr)
    return status


def _joiner(settings: Settings) -> Joiner | None:
    recogniser = build.recogniser(settings)
    try:
        card = recogniser.card
    except ModelNotFound:
        return None
    return Joiner(recogniser, calibration_of(card))


@dataclass(frozen=True)
class _Work:
    """What is done with each video."""

    detect: Detector | SingleFaceDetector
    sure: float
    examining: ExamineOptions
    joiner: Joiner | None
    scale: int | None
    stages: improve.Stages
    edits: tuple[Edit, ...]
    hardware: Hardware | None


class _Job:
    """Examines one video after the other."""

    def __init__(self, work: _Work, sources: Sequence[str], out: Path, workshop: Path) -> None:
        self._work, self._sources, self._out, self._workshop = work, sources, out, workshop
        self._names = outputs.Names(reserved=[footage_page.INDEX])
        self.done = 0

    def __call__(self, source: str) -> Footage:
        sha256 = watching.sha256_of(source)
        with (
            Video(source, hardware=self._work.hardware) as video,
            self._journal(sha256, video) as journal,
        ):
            tracks, last, frames = self._tracks(video, journal)
            result = self._written(source, sha256, video, journal, tracks, last, frames)
            outputs.check_unchanged(source, sha256)
            name = result.name
            outputs.publish(self._workshop / name, self._out / name)
            journal.remove()
        self.done += 1
        return result.footage

    @contextmanager
    def _journal(self, sha256: str, video: Video) -> Iterator[Journal]:
        work = self._work
        about = {
            "facecctv": __version__,
            "source": sha256,
            "detector": work.detect.card.name + " " + work.detect.card.version,
            "sure": work.sure,
            "options": repr(work.examining),
            "facts": repr(video.facts),
            "device": video.device,
        }
        with Journal(self._out / f".{sha256[:16]}.journal", about) as journal:
            yield journal

    def _tracks(self, video: Video, journal: Journal) -> tuple[list[Track], float, int]:
        """All passages; time of the last frame, seconds, and how many frames there are."""
        last, frames = 0.0, 0
        with watching.counted(video) as count:

            def tell(frame: Still) -> None:
                nonlocal last, frames
                last, frames = float(frame.time), frame.index + 1
                count(frame)

            work = self._work
            tracks = list(
                examine(video, work.detect, assess, work.examining, journal=journal, tell=tell)
            )
        # The last frame is always looked at, so a journal that holds everything ends with it.
        if not frames and journal.last is not None:
            last, frames = float(journal.last.time), journal.last.index + 1
        return tracks, last, frames

    def _written(
        self,
        source: str,
        sha256: str,
        video: Video,
        journal: Journal,
        tracks: Sequence[Track],
        last: float,
        frames: int,
    ) -> footage_results.Written:
        work = self._work
        joined = groups(tracks, work.joiner, journal.with_crops)
        people = gathered(tracks, joined, work.edits)
        name = self._names.give(source, lambda name: self._is_taken(name, sha256))
        portraits = (
            portray(
                person,
                journal.with_crops,
                work.scale,
                work.stages.enhance,
                work.stages.colourise,
                each=True,
            )
            for person in people
        )
        facts = footage_results.Facts(
            source,
            sha256,
            (video.facts.width, video.facts.height),
            last,
            frames,
            journal.looks,
            video.damaged,
            work.joiner.name if work.joiner else None,
            work.edits,
            tuple(note for note in ("" if work.joiner else _NOT_JOINED, video.decoding) if note),
        )
        return footage_results.write(self._workshop / name, facts, portraits)

    def _is_taken(self, name: str, sha256: str) -> bool:
        target = self._out / name
        if not target.exists() and not target.is_symlink():
            return False
        earlier = outputs.result_in(target)
        same = earlier is not None and earlier.get("sha256") == sha256
        return not same or outputs.holds_source(target, self._sources)


def _edits(merges: Sequence[str], splits: Sequence[str]) -> tuple[Edit, ...]:
    """Splits first: what is parted can be joined with others then."""
    try:
        parted = []
        for text in splits:
            person, track = text.split(":")
            parted.append(Edit("split", (int(person),), int(track)))
        together = [Edit("merge", tuple(map(int, text.split(",")))) for text in merges]
    except ValueError as error:
        raise typer.BadParameter("--merge is as 1,3 and --split as 1:4") from error
    return (*parted, *together)


def _describe(result: Footage) -> str:
    count = len(result.people)
    people = "nobody" if not count else "1 person" if count == 1 else f"{count} people"
    passages = sum(len(person.passages) for person in result.people)
    text = people if passages == count else f"{people} in {passages} passages"
    text += f", {result.duration:.1f} s, {result.looks} of {result.frames} frames searched"
    added = [one.steadiness.added for one in result.people if one.steadiness is not None]
    if added:
        # Of all people the least steady: what is said of the video holds for everybody.
        text += f", enhancing adds {max(added):+.1f} CIELAB from sight to sight"
    return text + (f", {result.damaged} damaged" if result.damaged else "")
