"""From names and settings to stages: the only place that joins models and stages."""

from __future__ import annotations

from facecctv.models.session import Session
from facecctv.models.store import Store
from facecctv.pipeline import Pipeline
from facecctv.settings import Settings
from facecctv.vision import single
from facecctv.vision.detect import DetectOptions, Detector
from facecctv.vision.quality import assess

FACE_DETECTOR = "face-detector"


def store(settings: Settings) -> Store:
    """Where models are looked for under these settings."""
    return Store(settings.models)


def session(settings: Settings, model: str) -> Session:
    """A session of a model by name or path; read, verified and loaded when first used."""
    models = store(settings)
    return Session(
        lambda: models.load(model).data,
        providers=settings.provider or "auto",
        threads=settings.threads,
    )


def detector(
    settings: Settings, options: DetectOptions | None = None, model: str = FACE_DETECTOR
) -> Detector | single.SingleFaceDetector:
    """The face detector, or a detector of the user's own by path, of either kind.

    Raises ModelError and its kin for another model than the shipped one that cannot be used; the
    shipped one is read when first used.
    """
    if model != FACE_DETECTOR and store(settings).load(model).card.task == single.TASK:
        return single.SingleFaceDetector(session(settings, model), options)
    return Detector(session(settings, model), options)


def pipeline(
    settings: Settings, options: DetectOptions | None = None, model: str = FACE_DETECTOR
) -> Pipeline:
    """The main job: find every face and judge its quality."""
    return Pipeline(detect=detector(settings, options, model), assess=assess)
