import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
from skimage.data import astronaut

from facecctv import demo
from facecctv.errors import MissingExtra, OutputError
from facecctv.types import check_image


@pytest.fixture(scope="module")
def scene():
    return demo.demo_scene()


def test_the_scene_has_nine_faces_from_tiny_to_large(scene):
    assert check_image(scene.image).shape == (720, 1280, 3)
    heights = sorted(round(face.height) for face in scene.faces)
    assert heights == [16, 20, 24, 30, 40, 48, 64, 84, 170]


def test_every_face_lies_within_the_picture_and_holds_its_landmarks(scene):
    for face in scene.faces:
        x1, y1, x2, y2 = face.box
        assert x1 >= 0
        assert y1 >= 0
        assert x2 <= 1280
        assert y2 <= 720
        assert (face.landmarks > (x1, y1)).all()
        assert (face.landmarks < (x2, y2)).all()


def test_landmarks_are_in_the_order_as_seen_in_mirrored_faces_too(scene):
    for face in scene.faces:
        left_eye, right_eye, nose, mouth_left, mouth_right = face.landmarks
        assert left_eye[0] < nose[0] < right_eye[0]
        assert mouth_left[0] < mouth_right[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_the_same_seed_gives_the_same_picture_and_another_seed_another(scene):
    np.testing.assert_array_equal(scene.image, demo.demo_scene(0).image)
    assert (scene.image != demo.demo_scene(1).image).any()


def test_a_face_shows_the_portrait_exactly_where_the_truth_says():
    left, top, right, bottom = (int(v) for v in demo.ASTRONAUT_BOX)
    portrait = astronaut()[top:bottom, left:right].astype(float)
    person = demo.Person(x=300.5, face_px=bottom - top)
    # At this height of the picture the box falls on whole pixels.
    built = demo.corridor((600, 450), [person], np.random.default_rng(0))
    x, y = (int(v) for v in built.faces[0].box[:2])
    height, width = portrait.shape[:2]

    def likeness(shift):
        there = built.image[y + shift[1] :, x + shift[0] :][:height, :width].astype(float)
        inner = np.s_[15:-15, 15:-15]  # around it the hall shows past the cheeks
        return np.corrcoef(there[inner].ravel(), portrait[inner].ravel())[0, 1]

    shifts = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    assert max(shifts, key=likeness) == (0, 0)
    assert likeness((0, 0)) > 0.99


def test_night_is_grey_dim_and_keeps_its_size(scene):
    night = demo.at_night(scene.image, np.random.default_rng(0))
    assert night.shape == scene.image.shape
    assert (night[..., 0] == night[..., 2]).all()
    assert night.std() < 0.6 * scene.image.std()


def test_noise_has_the_strength_asked_for():
    grey = np.full((100, 100, 3), 128, np.uint8)
    noisy = demo.with_noise(grey, np.random.default_rng(0), sigma=10)
    assert noisy.std() == pytest.approx(10, rel=0.05)


def test_writing_gives_four_readable_pictures(tmp_path):
    paths = demo.write_demo(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["recorder.jpg", "hall.png", "night.png", "noisy.jpg"]
    sizes = {}
    for path in paths:
        with PIL.Image.open(path) as picture:
            picture.load()
            sizes[path.name] = picture.size
    assert sizes.pop("recorder.jpg") == (1280, 720)
    assert set(sizes.values()) == {(860, 720)}


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        demo.write_demo(tmp_path / "file" / "folder")


def test_without_scikit_image_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(MissingExtra, match=r"facecctv\[demo\]"):
        demo.demo_scene()


def test_importing_the_demo_does_not_import_scikit_image():
    code = "import sys, facecctv.demo; sys.exit('skimage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
