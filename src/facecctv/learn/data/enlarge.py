"""A folder of augmented copies: several processes, resumable, nothing half-written."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from facecctv.draw import Cell, contact_sheet
from facecctv.errors import FaceCCTVError, OutputError
from facecctv.image import encode, shown, write_atomic
from facecctv.learn.data.augment import Augmentation, Augmenter, one_thread
from facecctv.learn.data.check import drawn
from facecctv.learn.data.dataset import Dataset, Fault, Labelled, Pictures, read_dataset
from facecctv.learn.data.formats.export import unique_names
from facecctv.learn.data.labelme import labelme_json
from facecctv.types import Image

COPIES = 30
"""Per picture, as the recipes this follows do; 60 is their other figure."""
QUALITY = 90
FOLDER = "pictures"
_RECORD = "augment.json"
_PREVIEWS = 24


@dataclass(frozen=True)
class Job:
    """One source picture and where its copies go."""

    item: Labelled
    name: str
    """Of the source."""
    stem: Path
    """Copies are `stem-00.jpg`, `stem-01.jpg`, ... with labelme JSON beside them."""
    copies: int
    seed: int
    settings: Augmentation


@dataclass(frozen=True)
class Enlarged:
    """What was done."""

    made: int
    already_there: int
    without_face: int
    """Of those made: pictures whose last face left them, or that never had one."""
    faults: tuple[Fault, ...]


def enlarge(
    dataset: Dataset,
    out: Path,
    copies: int = COPIES,
    settings: Augmentation | None = None,
    seed: int = 0,
    workers: int | None = None,
    step: Callable[[int], None] = lambda _: None,
) -> Enlarged:
    """Writes `copies` changed copies of every picture to `out/pictures`, JPEG with labelme JSON.

    Copies that are there already are left alone, so an interrupted run goes on where it ended. A
    copy depends on the picture's name, its number and the seed alone, never on how many processes
    worked. `step` is called with the number of copies done. Raises OutputError when the folder
    holds copies made with other settings, or cannot be written.
    """
    chosen = settings or Augmentation()
    _same_settings(out, chosen, seed)
    names = unique_names(dataset, Pictures())
    jobs = [
        Job(
            item,
            dataset.name(item),
            out / FOLDER / Path(name).with_suffix(""),
            copies,
            seed,
            chosen,
        )
        for name, item in zip(names, dataset, strict=True)
    ]
    made = already = without = 0
    faults: list[Fault] = []
    for job, result in _results(jobs, workers or os.cpu_count() or 1):
        if isinstance(result, Fault):
            faults.append(result)
        else:
            made, already, without = made + result[0], already + result[1], without + result[2]
        step(job.copies)
    return Enlarged(made, already, without, tuple(faults))


def _same_settings(out: Path, settings: Augmentation, seed: int) -> None:
    record = {"seed": seed, **asdict(settings)}
    path = out / _RECORD
    try:
        out.mkdir(parents=True, exist_ok=True)
        there = json.loads(path.read_bytes()) if path.exists() else record
    except OSError as error:
        raise OutputError(f"{shown(out)}: cannot be used: {error.strerror}") from error
    except ValueError:
        there = None
    if there != record:
        raise OutputError(
            f"{shown(out)}: holds copies made with another seed or other settings "
            f"({_RECORD}): choose a new folder"
        )
    write_atomic(path, (json.dumps(record, indent=1) + "\n").encode())
    for unfinished in out.rglob(".*.part"):  # of a run that was killed
        unfinished.unlink(missing_ok=True)


Result = tuple[int, int, int] | Fault


def _results(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Result]]:
    if workers == 1 or len(jobs) < 2:
        augmenter = Augmenter(jobs[0].settings) if jobs else None
        for job in jobs:
            yield job, _work(job, augmenter)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start) as pool:
        waiting = iter(jobs)
        # Few at a time, so that an interruption waits for no more than these.
        running = {pool.submit(_work, job): job for job in islice(waiting, 2 * workers)}
        try:
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), _result(future)
                    for job in islice(waiting, 1):
                        running[pool.submit(_work, job)] = job
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _result(future: Future[Result]) -> Result:
    return future.result()


def _start() -> None:
    # The parent is interrupted and lets this process finish its picture.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_thread()


def _work(job: Job, augmenter: Augmenter | None = None) -> Result:
    """Copies of one picture: how many made, how many there already, how many without a face."""
    missing = [k for k in range(job.copies) if not _paths(job, k)[1].is_file()]
    if not missing:
        return 0, job.copies, 0
    try:
        sample = Pictures().sample(job.item)
    except FaceCCTVError as error:
        return Fault(job.name, "unreadable picture", str(error).rsplit(": ", 1)[-1])
    tool = augmenter or Augmenter(job.settings)
    job.stem.parent.mkdir(parents=True, exist_ok=True)
    without = 0
    for number in missing:
        copy, kept = tool.copy(sample, copy_seed(job.seed, job.name, number))
        picture, label = _paths(job, number)
        height, width = copy.image.shape[:2]
        item = replace(
            job.item,
            path=picture,
            width=width,
            height=height,
            boxes=copy.boxes,
            labels=tuple(job.item.labels[i] for i in kept),
            landmarks=copy.landmarks,
            ignore=copy.ignore,
        )
        # The label comes last: where it is, the picture is whole.
        _write(picture, encode(copy.image, "jpeg", QUALITY))
        _write(label, labelme_json(item, picture.name))
        without += not len(copy.boxes)
    return len(missing), job.copies - len(missing), without


def _paths(job: Job, number: int) -> tuple[Path, Path]:
    name = f"{job.stem.name}-{number:02d}"
    return job.stem.with_name(f"{name}.jpg"), job.stem.with_name(f"{name}.json")


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all; unlike `write_atomic` it does not wait for the disk each time."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{shown(path)}: cannot be written: {error.strerror}") from error


def copy_seed(seed: int, name: str, number: int) -> int:
    """The seed of one copy, 0 .. 2**31 - 1."""
    words = f"{seed}/{name}/{number}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(words).digest()[:4], "big") >> 1


def previews(out: Path, count: int = _PREVIEWS) -> Image:
    """A contact sheet of copies with their boxes, evenly spread over the folder."""
    dataset = read_dataset(out, "labelme")
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int))
    pictures, cells = Pictures(), []
    for item in (dataset.items[i] for i in chosen):
        image = drawn(item, pictures.image(item.path), 220)
        faces = len(item.boxes)
        text = "no face" if not faces else "1 face" if faces == 1 else f"{faces} faces"
        cells.append(Cell(image, item.path.stem, (text,)))
    return contact_sheet(cells, empty="No pictures")
