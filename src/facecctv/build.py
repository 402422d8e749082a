"""From names and settings to stages: the only place that joins models and stages."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import numpy as np

from facecctv.errors import ImageError, ModelError, ModelNotFound, SettingError
from facecctv.evidence.steps import Colourise, Modelled, Tool
from facecctv.image import Limits, read
from facecctv.models.card import Card
from facecctv.models.session import Array, Runner, Session
from facecctv.models.store import Store
from facecctv.pipeline import Pipeline
from facecctv.settings import Settings
from facecctv.types import Image, Origin, Portrait
from facecctv.vision import single
from facecctv.vision.attributes import AttributeEstimator
from facecctv.vision.bodies import TASK as BODIES
from facecctv.vision.bodies import BodyFinder
from facecctv.vision.colourise import ColouriseOptions, Colouriser, FaceColouriser, is_grey
from facecctv.vision.detect import DetectOptions, Detector
from facecctv.vision.drift import DriftMeter
from facecctv.vision.enhance import EnhanceOptions, Enhancer, FaceEnhancer, enhance_faces
from facecctv.vision.quality import assess
from facecctv.vision.recognise import Recogniser

FACE_DETECTOR = "face-detector"
FACE_EMBEDDER = "face-embedder"
FACE_ATTRIBUTES = "face-attributes"
BODY_DETECTOR = "body-detector"
COLOURISER = "colouriser"
ENHANCERS = {2: "enhancer-x2", 4: "enhancer-x4"}
"""Model by scale."""

_DEFAULTS = Settings()
_UNSURE = 0.4
"""Of the score of a sure face: from there on a face continues what another frame began."""


class Model(Runner, Protocol):
    """A loaded model that can be named in a record."""

    @property
    def sha256(self) -> str:
        """Of the model's bytes, 64 hexadecimal digits."""


@dataclass(frozen=True)
class _Watched:
    """A model that asks before each run whether anybody still waits for it."""

    model: Model
    check: Callable[[], None]

    @property
    def card(self) -> Card:
        return self.model.card

    @property
    def sha256(self) -> str:
        return self.model.sha256

    def run(self, *arrays: Array) -> list[Array]:
        self.check()
        return self.model.run(*arrays)


def store(settings: Settings) -> Store:
    """Where models are looked for under these settings."""
    return Store(settings.models)


def limits(settings: Settings) -> Limits:
    """How large a picture may be under these settings."""
    usual = Limits()
    return Limits(settings.max_bytes or usual.max_bytes, settings.max_pixels or usual.max_pixels)


def session(settings: Settings, model: str) -> Session:
    """A session of a model by name or path; read, verified and loaded when first used."""
    models = store(settings)
    return Session(
        lambda: models.load(model).data,
        providers=settings.provider or "auto",
        threads=settings.threads,
    )


def origin(model: Model) -> Origin:
    """What a result says of the model that made it; loads it."""
    card = model.card
    return Origin(card.name, card.version, model.sha256, card.step)


def enhancer(settings: Settings, scale: int = 4, options: EnhanceOptions | None = None) -> Enhancer:
    """The enhancer of a scale, read when first used; SettingError where there is none such."""
    return Enhancer(session(settings, enhancer_name(scale)), options)


def enhancer_name(scale: int) -> str:
    """The model that enlarges this many times; SettingError where there is none such."""
    if scale not in ENHANCERS:
        raise SettingError(f"there are enhancers for x{', x'.join(map(str, ENHANCERS))}: x{scale}")
    return ENHANCERS[scale]


def colouriser(settings: Settings, options: ColouriseOptions | None = None) -> Colouriser:
    """The colouriser, read when first used."""
    return Colouriser(session(settings, COLOURISER), options)


def face_enhancer(
    settings: Settings,
    scale: int = 4,
    options: EnhanceOptions | None = None,
    below: float = math.inf,
) -> FaceEnhancer:
    """The stage that enhances faces lower than `below` pixels and measures their drift.

    Without a recogniser installed the drift of every face is unknown. Raises ModelNotFound where
    the enhancer is not installed, ModelError and its kin where a model cannot be used.
    """
    return workshop(settings).enhancer(scale, options, below)


def face_colouriser(
    settings: Settings, options: ColouriseOptions | None = None, *, only_grey: bool = True
) -> FaceColouriser:
    """The stage that colours faces, of grey pictures only unless told otherwise.

    Raises ModelNotFound where the colouriser is not installed, ModelError and its kin where it
    cannot be used.
    """
    return workshop(settings).colouriser(options, only_grey=only_grey)


def body_finder(settings: Settings = _DEFAULTS, options: DetectOptions | None = None) -> BodyFinder:
    """The stage that finds people and links each to its face.

    Raises ModelNotFound where the body detector is not installed, ModelError and its kin where it
    cannot be used.
    """
    return workshop(settings).bodies(options)


def tool(settings: Settings, step: Modelled) -> Tool:
    """What performs a step of a chain that needs a model.

    Raises ModelNotFound where the model is not installed, ModelError and its kin where it cannot
    be used.
    """
    return workshop(settings).tool(step)


def _coloured(colourise: Colouriser, image: Image) -> Image:
    if not is_grey(image):
        raise ImageError(
            "has colour already; --force, or force=on in a chain, replaces it by an estimate"
        )
    return colourise(image)


def recogniser(
    settings: Settings, model: str = FACE_EMBEDDER, *, mirror: bool = False
) -> Recogniser:
    """The recogniser, or one of the user's own by path; read when first used.

    With `mirror` faces are looked at with their mirror images: calibrations are fitted so.
    """
    return Recogniser(session(settings, model), mirror=mirror)


def estimator(settings: Settings, model: str = FACE_ATTRIBUTES) -> AttributeEstimator:
    """What estimates age and gender, or one of the user's own by path; read when first used."""
    return AttributeEstimator(session(settings, model))


def detector(
    settings: Settings, options: DetectOptions | None = None, model: str = FACE_DETECTOR
) -> Detector | single.SingleFaceDetector:
    """The face detector, or a detector of the user's own by path, of either kind.

    Raises ModelError and its kin for another model than the shipped one that cannot be used, or
    that finds bodies; the shipped one is read when first used.
    """
    task = "" if model == FACE_DETECTOR else store(settings).load(model).card.task
    if task == BODIES:
        raise ModelError(f"{model} finds bodies, not faces: --bodies looks for both")
    if task == single.TASK:
        return single.SingleFaceDetector(session(settings, model), options)
    return Detector(session(settings, model), options)


def watching_detector(
    settings: Settings, options: DetectOptions | None = None, model: str = FACE_DETECTOR
) -> tuple[Detector | single.SingleFaceDetector, float]:
    """A detector for video, which reports unsure faces too, and the score of a sure one."""
    how = options or DetectOptions()
    card = detector(settings, how, model).card
    sure = card.threshold() if how.threshold is None else how.threshold
    return detector(settings, replace(how, threshold=sure * _UNSURE), model), sure


def pipeline(
    settings: Settings, options: DetectOptions | None = None, model: str = FACE_DETECTOR
) -> Pipeline:
    """The main job: find every face and judge its quality."""
    return examination(detector(settings, options, model))


def examination(
    detect: Detector | single.SingleFaceDetector,
    enhance: FaceEnhancer | None = None,
    colourise: FaceColouriser | None = None,
    attributes: AttributeEstimator | None = None,
    find_bodies: BodyFinder | None = None,
) -> Pipeline:
    """The main job with stages that are there already."""
    return Pipeline(
        detect=detect,
        assess=assess,
        enhance=enhance,
        colourise=colourise,
        attributes=attributes,
        bodies=find_bodies,
    )


def load_pipeline(
    *,
    options: DetectOptions | None = None,
    settings: Settings = _DEFAULTS,
    model: str = FACE_DETECTOR,
    enhance: FaceEnhancer | None = None,
    colourise: FaceColouriser | None = None,
    attributes: AttributeEstimator | None = None,
    find_bodies: BodyFinder | None = None,
) -> Pipeline:
    """The main job for library users: ready for any number of pictures, from several threads.

    The environment is not read; hand in Settings for a folder of models of your own, a number of
    threads or a provider. The model is loaded with the first picture, which raises ModelError
    where it cannot be used. `enhance`, `colourise`, `attributes` and `find_bodies` are stages that
    `face_enhancer`, `face_colouriser`, `estimator` and `body_finder` make; without them nothing is
    enhanced or coloured, no age or gender estimated, and no bodies are found.
    """
    detect = detector(settings, options, model)
    return examination(detect, enhance, colourise, attributes, find_bodies)


def examine(
    source: Image | str | os.PathLike[str],
    *,
    options: DetectOptions | None = None,
    settings: Settings = _DEFAULTS,
) -> list[Portrait]:
    """Every face of one picture, best first: where it is, its own pixels, what they are good for.

    The source is a file, or pixels of (H, W, 3) uint8 RGB. No face is an empty list. Loads the
    model each time: for many pictures keep what `load_pipeline` returns.
    Raises ImageError (LimitError) for a file that is no readable picture, ValueError for an array
    of another shape or type, ModelError where the model cannot be used.
    """
    if not isinstance(source, np.ndarray):
        source = read(source, limits(settings)).image
    return load_pipeline(options=options, settings=settings).image(source)


@dataclass(frozen=True)
class Workshop:
    """Pipelines for any options, all over the same models, each loaded when first needed."""

    detector: Model
    others: Mapping[str, Model] = field(default_factory=dict)
    """By name: enhancers, colouriser, recogniser, estimator and body detector, installed or not."""

    def during(self, check: Callable[[], None]) -> Workshop:
        """One over the same models that calls `check` before each run of a network.

        What it raises ends the work between two tiles of a large picture.
        """
        others = {name: _Watched(model, check) for name, model in self.others.items()}
        return Workshop(_Watched(self.detector, check), others)

    def pipeline(
        self,
        options: DetectOptions | None = None,
        margin: float = 0.35,
        enhance: FaceEnhancer | None = None,
        colourise: FaceColouriser | None = None,
    ) -> Pipeline:
        """A pipeline with these options; `margin` is around each crop, as in Pipeline."""
        return Pipeline(
            detect=Detector(self.detector, options),
            assess=assess,
            margin=margin,
            enhance=enhance,
            colourise=colourise,
        )

    def watcher(self, options: DetectOptions | None = None) -> tuple[Detector, float]:
        """As `watching_detector`."""
        how = options or DetectOptions()
        sure = self.detector.card.threshold() if how.threshold is None else how.threshold
        return Detector(self.detector, replace(how, threshold=sure * _UNSURE)), sure

    def enhancer(
        self, scale: int = 4, options: EnhanceOptions | None = None, below: float = math.inf
    ) -> FaceEnhancer:
        """As `face_enhancer`."""
        model = self._other(enhancer_name(scale))
        return FaceEnhancer(Enhancer(model, options), origin(model), self.meter(), below)

    def colouriser(
        self, options: ColouriseOptions | None = None, *, only_grey: bool = True
    ) -> FaceColouriser:
        """As `face_colouriser`."""
        model = self._other(COLOURISER)
        return FaceColouriser(Colouriser(model, options), origin(model), only_grey)

    def bodies(self, options: DetectOptions | None = None) -> BodyFinder:
        """As `body_finder`."""
        finder = BodyFinder(Detector(self._other(BODY_DETECTOR), options))
        _ = finder.card
        return finder

    def tool(self, step: Modelled) -> Tool:
        """As the function `tool`."""
        if isinstance(step, Colourise):
            model = self._other(COLOURISER)
            colour = Colouriser(model, ColouriseOptions(step.saturation))
            return Tool(colour if step.force else partial(_coloured, colour), origin(model))
        model = self._other(enhancer_name(step.scale))
        enhance = Enhancer(model, EnhanceOptions(step.strength, step.luminance))
        made_by = origin(model)
        if enhance.scale != step.scale:
            raise ModelError(f"{made_by.model} enlarges {enhance.scale} times, not {step.scale}")
        if not step.faces_only:
            return Tool(enhance, made_by)
        detect = Detector(self.detector)
        return Tool(
            lambda image: enhance_faces(image, detect(image), enhance),
            made_by,
            found_by=origin(self.detector),
        )

    def recogniser(self) -> Recogniser:
        """As the function, with mirror images as calibrations want; ModelNotFound where there is
        none.
        """
        model = self._other(FACE_EMBEDDER)
        _ = model.card
        return Recogniser(model, mirror=True)

    def estimator(self) -> AttributeEstimator:
        """As the function; ModelNotFound where there is none."""
        model = self._other(FACE_ATTRIBUTES)
        _ = model.card
        return AttributeEstimator(model)

    def meter(self) -> DriftMeter | None:
        """What measures identity drift; None where the recogniser for it is not installed."""
        embedder = self.others.get(FACE_EMBEDDER)
        if embedder is None:
            return None
        try:
            _ = embedder.card
        except ModelNotFound:
            return None
        return DriftMeter(Recogniser(embedder))

    def _other(self, name: str) -> Model:
        if name not in self.others:
            raise ModelNotFound(f"no model {name!r} in this workshop")
        return self.others[name]

    def cards(self) -> list[Card]:
        """What the models that are installed say of themselves; loads them."""
        cards = [self.detector.card]
        for model in self.others.values():
            try:
                cards.append(model.card)
            except ModelNotFound:
                continue
        return cards


def workshop(settings: Settings, model: str = FACE_DETECTOR) -> Workshop:
    """One that loads each model when it is first needed."""
    names = (*ENHANCERS.values(), COLOURISER, FACE_EMBEDDER, FACE_ATTRIBUTES, BODY_DETECTOR)
    return Workshop(session(settings, model), {name: session(settings, name) for name in names})
