"""Who sees what: judging sees the recorded pixels, whatever else is done."""

from __future__ import annotations

import numpy as np
import pytest

from facecctv import build
from facecctv.errors import ModelNotFound, SettingError
from facecctv.models.store import Store
from facecctv.pipeline import Pipeline
from facecctv.settings import Settings
from facecctv.types import Coloured, Drift, Enhanced, Face, Origin
from facecctv.vision.quality import assess
from tests.red_detector import red_detector, red_picture
from tests.tiny_enhancers import constant_colouriser, mean_embedder, nearest_enhancer

ORIGIN = Origin("x", "1", "0" * 64, "learned")
IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)


def face_at(x):
    points = [[x + 3, 14], [x + 7, 14], [x + 5, 16], [x + 3, 18], [x + 7, 18]]
    return Face([x, 10, x + 10, 20], points, 0.9)


class Seeing:
    """Stages that note what they were shown."""

    def __init__(self):
        self.seen = []

    def assess(self, image, face):
        self.seen.append(("assess", image))
        return assess(image, face)

    def enhance(self, image, crops):
        self.seen.append(("enhance", image))
        made = [np.full((4, 4, 3), 7, np.uint8) for _ in crops]
        return [Enhanced(picture, 2, ORIGIN, 1.0, False, Drift("unknown")) for picture in made]

    def colourise(self, image, portraits):
        self.seen.append(("colourise", image))
        assert all(portrait.quality and portrait.enhanced for portrait in portraits)
        return [
            Coloured(p.enhanced.image + np.uint8(1), ORIGIN, 1.0, "enhanced") for p in portraits
        ]


def test_every_stage_sees_the_original_and_results_stay_in_order():
    stages = Seeing()
    faces = [face_at(5), face_at(40)]
    pipeline = Pipeline(
        lambda _: faces, stages.assess, enhance=stages.enhance, colourise=stages.colourise
    )
    portraits = pipeline.image(IMAGE)
    assert [portrait.face for portrait in portraits] == faces
    assert all(image is IMAGE for _, image in stages.seen)
    assert {name for name, _ in stages.seen} == {"assess", "enhance", "colourise"}
    for portrait in portraits:
        x, y = portrait.crop.x, portrait.crop.y
        rows, columns = portrait.crop.image.shape[:2]
        np.testing.assert_array_equal(portrait.crop.image, IMAGE[y : y + rows, x : x + columns])
        assert (portrait.enhanced.image == 7).all()
        assert (portrait.coloured.image == 8).all()


def test_quality_is_the_same_with_and_without():
    plain = Pipeline(lambda _: [face_at(5)], assess).image(IMAGE)[0]
    stages = Seeing()
    more = Pipeline(lambda _: [face_at(5)], assess, enhance=stages.enhance).image(IMAGE)[0]
    assert more.quality == plain.quality
    assert plain.enhanced is plain.coloured is None


def test_nobody_is_an_empty_list():
    stages = Seeing()
    pipeline = Pipeline(lambda _: [], enhance=stages.enhance, colourise=stages.colourise)
    assert pipeline.image(IMAGE) == []


@pytest.fixture
def models(tmp_path):
    (tmp_path / "enhancer-x2.onnx").write_bytes(nearest_enhancer(2))
    (tmp_path / "colouriser.onnx").write_bytes(constant_colouriser())
    (tmp_path / "red.onnx").write_bytes(red_detector())
    return tmp_path


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "workshop"])
def test_building_by_name(models, shared, monkeypatch):
    # As if no recogniser came with the package.
    monkeypatch.setattr(build, "store", lambda settings: Store(settings.models, shipped=models))
    settings, detector = Settings(models=models), str(models / "red.onnx")
    image = red_picture(640, 480, (20, 30))

    def learn():
        if shared:
            workshop = build.workshop(settings, detector)
            stages = workshop.enhancer(2), workshop.colouriser(only_grey=False)
            pipeline = workshop.pipeline(None, 0.35, *stages)
        else:
            stages = (
                build.face_enhancer(settings, 2),
                build.face_colouriser(settings, only_grey=False),
            )
            pipeline = build.load_pipeline(
                settings=settings, model=detector, enhance=stages[0], colourise=stages[1]
            )
        return pipeline.image(image)[0]

    without = learn()
    assert without.enhanced.drift == Drift("unknown", reason="no recogniser is installed")
    assert without.enhanced.origin.model == "enhancer-x2"
    assert without.coloured.origin.step == "generative"
    (models / "face-embedder.onnx").write_bytes(mean_embedder(least=8))
    assert learn().enhanced.drift.verdict == "kept"


def test_what_is_not_installed_says_so(models):
    settings = Settings(models=models)
    with pytest.raises(SettingError, match="x2, x4: x3"):
        build.face_enhancer(settings, 3)
    empty = models / "empty"
    empty.mkdir()
    lacking = build.Workshop(build.session(Settings(models=empty), "face-detector"))
    with pytest.raises(ModelNotFound, match="enhancer-x4"):
        lacking.enhancer(4)
    with pytest.raises(ModelNotFound, match="colouriser"):
        lacking.colouriser()
