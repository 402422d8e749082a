"""What the commands about people share: faces with embeddings, keys, calibrations."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecctv import build
from facecctv.cli import options, outputs, pictures
from facecctv.errors import FaceCountError, InputError, SettingError
from facecctv.geometry import align
from facecctv.identity import log
from facecctv.identity.calibrate import Calibration, calibration_of, read_calibration
from facecctv.identity.entries import Template
from facecctv.identity.gallery import Gallery
from facecctv.identity.matching import Matcher, SightMatcher
from facecctv.image import Limits, Picture, encode, shown
from facecctv.pipeline import Identify, Pipeline
from facecctv.schema import Result
from facecctv.types import Portrait
from facecctv.vision.detect import DetectOptions, Detector
from facecctv.vision.recognise import Recogniser
from facecctv.vision.single import SingleFaceDetector

if TYPE_CHECKING:
    from facecctv.identity.sealing import Secret

PASSPHRASE, NEW_PASSPHRASE = "FACECCTV_PASSPHRASE", "FACECCTV_NEW_PASSPHRASE"

Embedder = Annotated[
    str, typer.Option(metavar="NAME_OR_FILE", help="The recogniser: a name or an .onnx file.")
]
Rate = Annotated[
    float,
    typer.Option(
        metavar="RATE", help="How often a whole search may find a stranger, between 0 and 1."
    ),
]
CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        help="A calibration on your own pairs; by default the model's own.",
        show_default=False,
    ),
]
Largest = Annotated[
    bool, typer.Option("--largest", help="Of several faces take the largest instead of refusing.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(help=f"Key file, instead of a passphrase (asked for, or {PASSPHRASE})."),
]
By = Annotated[
    str | None, typer.Option(help="Who does this, for the log.", show_default="who is logged in")
]


@dataclass(frozen=True)
class Faces:
    """Pictures to portraits with quality and embedding."""

    detector: Detector | SingleFaceDetector
    recogniser: Recogniser
    limits: Limits

    @property
    def embedder(self) -> str:
        """Name and version: embeddings of different ones do not compare."""
        return self.recogniser.name

    def pipeline(self, identify: Identify | None = None) -> Pipeline:
        """Finds, judges, embeds and, where asked, identifies."""
        pipeline = build.examination(self.detector)
        return replace(pipeline, embed=self.recogniser.faces, identify=identify)

    def one(self, source: str, largest: bool = False) -> tuple[Picture, Portrait]:
        """The one face of a picture; FaceCountError where there is none, or several unless
        the largest is wanted.
        """
        picture = pictures.read_picture(source, self.limits)
        found = self.detector(picture.image)
        if not found:
            raise FaceCountError("no face was found in it")
        if len(found) > 1 and not largest:
            raise FaceCountError(
                f"{len(found)} faces were found in it: cut out the one that is meant, "
                "or take the largest with --largest"
            )
        face = max(found, key=lambda face: face.width * face.height)
        (portrait,) = self.pipeline().portraits(picture.image, [face])
        outputs.check_unchanged(source, picture.sha256)
        return picture, portrait


def faces(model: str, embedder: str, look: DetectOptions | None = None) -> Faces:
    """With both models loaded: one that cannot be used is no fault of any input."""
    settings = options.environment()
    detector = build.detector(settings, look, model)
    recogniser = build.recogniser(settings, embedder, mirror=True)
    _ = detector.card, recogniser.card
    return Faces(detector, recogniser, build.limits(settings))


def result(
    source: str, picture: Picture, portraits: Sequence[Portrait], *, embeddings: bool = False
) -> Result:
    """As every door gives it; embeddings only where they are what was asked for."""
    size = (picture.width, picture.height)
    told = portraits if embeddings else [replace(one, embedding=None) for one in portraits]
    return Result.of(source, picture.sha256, size, told)


@dataclass(frozen=True)
class Searching:
    """Who a portrait may be, and the log of all that was asked."""

    matcher: Matcher | SightMatcher
    target: str
    """The id of the list, or the name of the case."""
    book: Path
    by: str
    reason: str

    def note(self, sha256: str, portraits: Sequence[Portrait]) -> None:
        """Writes a line for each face of a picture, on the disk when this returns."""
        for portrait in portraits:
            log.append(self.book, self._event(sha256, portrait))

    def _event(self, sha256: str, portrait: Portrait) -> log.Search:
        return log.Search(
            what="watchlist" if isinstance(self.matcher, Matcher) else "sightings",
            target=self.target,
            source=sha256,
            compared=self.matcher.compared,
            rate=self.matcher.rate,
            matched=tuple(match.name for match in portrait.candidates or ()),
            decision=portrait.decision or "no_match",
            by=self.by,
            reason=self.reason,
        )


def template(picture: Picture, portrait: Portrait, *, keep: bool = False) -> Template:
    """What a picture says of its face; with its upright pixels as PNG where they are to be kept.

    Raises ValueError for a portrait without embedding or quality.
    """
    if portrait.embedding is None or portrait.quality is None:
        raise ValueError("a portrait for a template has embedding and quality")
    face = encode(align(picture.image, portrait.face.landmarks)) if keep else None
    return Template(
        portrait.embedding, portrait.face.height, portrait.quality.score, picture.sha256,
        picture=face,
    )  # fmt: skip


def gallery(watchlist: Path, key_file: Path | None, embedder: str) -> tuple[Gallery, str]:
    """Who may be found on a list, and its id; EntryError where it is of another embedder."""
    from facecctv.identity.watchlist import Watchlist  # late: needs cryptography

    with Watchlist(watchlist, secret(key_file)) as opened:
        opened.check_embedder(embedder)
        return opened.gallery(), str(opened.about["id"])


def named(source: str, error: InputError) -> InputError:
    """The same error with the name of the picture at fault in front."""
    return type(error)(f"{shown(source)}: {error}")


def calibration(faces: Faces, file: Path | None) -> Calibration:
    """That of the file, or of the recogniser's card.

    Raises InputError for a file without one or fitted to another model, ModelError for a card
    without.
    """
    if file is None:
        return calibration_of(faces.recogniser.card)
    return calibration_in(file, faces.embedder)


def calibration_in(file: Path, embedder: str) -> Calibration:
    """That of a file, which must be fitted to this recogniser; InputError for any other."""
    try:
        found = read_calibration(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"{shown(file)}: cannot be read: {reason}") from error
    if found.embedder and found.embedder != embedder:
        raise InputError(f"{shown(file)}: fitted to {found.embedder}, the recogniser is {embedder}")
    return found


def check_rate(rate: float) -> float:
    """Wrong usage (typer.BadParameter) for what is no rate."""
    if not 0 < rate < 1:
        raise typer.BadParameter(f"--rate lies between 0 and 1, not {rate}")
    return rate


def who(by: str | None) -> str:
    """The person at the keyboard, unless named; SettingError where the system does not know."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:
        raise SettingError("say who does this: --by NAME") from error


def log_in(sightings: str) -> Path:
    """Where the searches of sightings are logged: in their folder, else in the current one."""
    return Path("searches.log") if "://" in sightings else Path(sightings) / "searches.log"


def secret(key_file: Path | None, *, new: bool = False, variable: str = PASSPHRASE) -> Secret:
    """From the key file, else from the environment, else asked for on the terminal.

    A new passphrase is asked for twice. Raises SettingError where there is none, or a bad one.
    """
    from facecctv.identity.sealing import Secret  # late: needs cryptography

    if key_file is not None:
        return Secret.key_file(key_file)
    text = os.environ.get(variable, "")
    if text:
        return Secret.passphrase(text)
    if not sys.stdin.isatty():
        raise SettingError(f"no passphrase: set {variable}, or name a key file")
    word = "New passphrase" if new else "Passphrase"
    asked = typer.prompt(word, hide_input=True, confirmation_prompt=new, err=True)
    return Secret.passphrase(str(asked))
