import base64
import json
import os
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

from facecctv.learn.data import prelabel
from facecctv.learn.data.dataset import Labelled, Pictures, read_dataset
from facecctv.learn.data.labelme import NO_FACE, labelme_json, upright, write_beside
from tests.test_learn_formats import SIZE, picture

BOX = {"label": "face", "points": [[50, 60], [10, 20]], "shape_type": "rectangle"}


def labelme(folder, shapes, name="a", **fields):
    """A labelme file as its version 5 writes it, with other fields where given."""
    body = {
        "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{name}.jpg",
        "imageData": None, "imageWidth": SIZE[0], "imageHeight": SIZE[1],
    }  # fmt: skip
    body |= fields
    body = {k: v for k, v in body.items() if v is not ...}
    (folder / f"{name}.json").write_text(json.dumps(body))


def read_one(folder):
    dataset = read_dataset(folder)
    assert dataset.format == "labelme"
    assert dataset.faults == ()
    (item,) = dataset.items
    return item


SHAPES = {
    "corners in any order": (BOX, [10, 20, 50, 60]),
    "a polygon": (
        {"label": "face", "shape_type": "polygon", "points": [[10, 30], [40, 20], [50, 60]]},
        [10, 20, 50, 60],
    ),
    "version 2 says no shape_type": (
        {"label": "face", "points": [[10, 20], [50, 20], [50, 60], [10, 60]], "line_color": None},
        [10, 20, 50, 60],
    ),
    "a circle": (
        {"label": "face", "shape_type": "circle", "points": [[30, 40], [30, 50]]},
        [20, 30, 40, 50],
    ),
    "label 1 of the first recipes": (BOX | {"label": "1"}, [10, 20, 50, 60]),
}


@pytest.mark.parametrize(("shape", "box"), SHAPES.values(), ids=SHAPES)
def test_every_shape_with_an_area_becomes_its_box(tmp_path, shape, box):
    picture(tmp_path / "a.jpg")
    labelme(tmp_path, [shape])
    item = read_one(tmp_path)
    np.testing.assert_array_equal(item.boxes, [box])
    assert item.labels == ("face",)


@pytest.mark.parametrize(
    ("shapes", "fields"),
    [
        ([], {}),
        ([], {"flags": None}),
        ([], {"flags": {"no face": True}}),
        ([BOX | {"label": "No Face"}], {}),
        ([BOX | {"label": "0"}], {}),
    ],
)
def test_every_way_to_say_no_face(tmp_path, shapes, fields):
    picture(tmp_path / "a.jpg")
    labelme(tmp_path, shapes, **fields)
    item = read_one(tmp_path)
    assert item.boxes.shape == (0, 4)
    assert item.located


def test_points_are_the_landmarks_of_the_box_of_their_group(tmp_path):
    picture(tmp_path / "a.jpg")
    point = {"label": "nose", "shape_type": "point", "points": [[20, 30]], "group_id": 2}
    labelme(tmp_path, [BOX | {"group_id": 1}, point, BOX | {"group_id": 2, "label": "mask"}])
    item = read_one(tmp_path)
    assert item.labels == ("face", "mask")
    assert np.isnan(item.landmarks[0]).all()
    np.testing.assert_array_equal(item.landmarks[1, 2], [20, 30])


FAULTS = {
    "a polygon with two points": (
        [{"label": "face", "shape_type": "polygon", "points": [[1, 1], [5, 5]]}], {},
        "a polygon ('face') with 2 points",
    ),
    "a line": ([{"label": "face", "shape_type": "line", "points": [[1, 1], [5, 5]]}], {}, "area"),
    "no label": ([BOX | {"label": ""}], {}, "without a label"),
    "points that are none": ([BOX | {"points": "x"}], {}, "has no points"),
    "no area": ([BOX | {"points": [[1, 1], [1, 9]]}], {}, "without area"),
    "not finite": ([BOX | {"points": [[1, 1], [float("inf"), 9]]}], {}, "no number"),
    "no face and a face": ([BOX], {"flags": {"no face": True}}, "says there is no face"),
    "a point without a box": (
        [{"label": "nose", "shape_type": "point", "points": [[1, 1]]}], {}, "no one box",
    ),
    "an unknown point": (
        [BOX, {"label": "ear", "shape_type": "point", "points": [[1, 1]]}], {}, "a point 'ear'",
    ),
    "another size": ([BOX], {"imageWidth": 320, "imageHeight": 240}, "labelled at 320 x 240"),
    "a missing picture": ([BOX], {"imagePath": "gone.jpg"}, "'gone.jpg' is missing"),
    "a shape that is none": ([3], {}, "not an object"),
}  # fmt: skip


@pytest.mark.parametrize(("shapes", "fields", "detail"), FAULTS.values(), ids=FAULTS)
def test_what_is_broken_is_one_fault_and_its_picture_is_left_out(tmp_path, shapes, fields, detail):
    picture(tmp_path / "a.jpg")
    labelme(tmp_path, [BOX], imagePath="a.jpg")
    picture(tmp_path / "b.jpg")
    labelme(tmp_path, shapes, name="b", **({"imagePath": "b.jpg"} | fields))
    if "missing" in detail:
        (tmp_path / "b.jpg").unlink()
    dataset = read_dataset(tmp_path)
    assert [item.path.name for item in dataset] == ["a.jpg"]
    (fault,) = dataset.faults
    assert fault.source == "b.json"
    assert detail in str(fault)
    assert "\n" not in str(fault)


@pytest.mark.parametrize("data", [b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_json_is_one_fault(tmp_path, data):
    picture(tmp_path / "a.jpg")
    labelme(tmp_path, [BOX])
    (tmp_path / "b.json").write_bytes(data)
    (fault,) = read_dataset(tmp_path, "labelme").faults
    assert fault.kind == "broken label"


def test_a_picture_nobody_labelled_is_a_fault_and_other_json_is_none(tmp_path):
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    labelme(tmp_path, [BOX])
    (tmp_path / "split.json").write_text('{"version": 1}')
    assert [(f.source, f.kind) for f in read_dataset(tmp_path).faults] == [("b.jpg", "no labels")]


@pytest.mark.parametrize(
    "stated", ["../pics/a.jpg", "..\\pics\\a.jpg", "C:\\Users\\x\\a.jpg", "/home/x/a.jpg"]
)
def test_pictures_are_found_by_paths_of_any_machine(tmp_path, stated):
    beside = not stated.startswith("..")
    picture(tmp_path / ("labels" if beside else "pics") / "a.jpg")
    (tmp_path / "labels").mkdir(exist_ok=True)
    labelme(tmp_path / "labels", [BOX], imagePath=stated)
    assert read_one(tmp_path / "labels").path.name == "a.jpg"


def test_an_embedded_picture_serves_where_the_file_is_gone(tmp_path):
    data = picture(tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").unlink()
    labelme(tmp_path, [BOX], imageData=base64.b64encode(data).decode())
    item = read_one(tmp_path)
    assert item.path == tmp_path / "a.json"
    assert Pictures().sample(item).image.shape == (120, 160, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_labels_of_old_versions_on_the_stored_picture_turn_with_it(tmp_path, orientation):
    """A white patch is stored and labelled unturned; the turned box must still hold it."""
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    pixels[20:60, 10:50] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    shown = Pictures().image(tmp_path / "a.png")
    rows, columns = np.nonzero(shown[..., 0])
    truth = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    points = upright(np.array([[10, 20], [50, 60]], np.float32), orientation, *SIZE)
    assert [*points.min(axis=0), *points.max(axis=0)] == truth
    if orientation >= 5:  # only then do the stated sides tell that labels are unturned
        labelme(tmp_path, [BOX], imagePath="a.png")
    else:
        labelme(tmp_path, [BOX | {"points": points.tolist()}], imagePath="a.png")
    np.testing.assert_array_equal(read_one(tmp_path).boxes, [truth])


def test_our_own_files_read_back_and_name_no_folder(tmp_path):
    path = picture(tmp_path / "a.jpg")
    item = Labelled(path, *SIZE, boxes=[[1, 2, 3, 4]], landmarks=np.ones((1, 5, 2)))
    written = write_beside(item)
    assert str(tmp_path) not in written.read_text()
    again = read_one(tmp_path)
    np.testing.assert_array_equal(again.boxes, item.boxes)
    np.testing.assert_array_equal(again.landmarks, item.landmarks)
    assert json.loads(labelme_json(item, "a.jpg", b"xy"))["imageData"] == "eHk="


def test_a_name_that_is_not_utf8_works(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    try:
        path = picture(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    write_beside(Labelled(path, *SIZE, boxes=[[1, 2, 3, 4]]))
    item = read_one(tmp_path)
    assert item.path.name == name


def test_a_face_drawn_beside_a_single_one_with_landmarks_is_no_fault(tmp_path):
    picture(tmp_path / "a.jpg")
    marks = np.float32([[[20, 30], [40, 30], [30, 40], [22, 50], [38, 50]]])
    item = Labelled(tmp_path / "a.jpg", *SIZE, np.float32([[10, 20, 50, 60]]), landmarks=marks)
    path = write_beside(item)
    body = json.loads(path.read_bytes())
    body["shapes"].append(BOX | {"points": [[60, 60], [70, 72]], "group_id": None})
    path.write_text(json.dumps(body))
    found = read_one(tmp_path)
    np.testing.assert_array_equal(found.boxes, [[10, 20, 50, 60], [60, 60, 70, 72]])
    np.testing.assert_array_equal(found.landmarks[0], marks[0])
    assert np.isnan(found.landmarks[1]).all()


def test_a_box_to_tick_that_is_not_ticked_does_not_say_no_face(tmp_path):
    """As labelme 6 saves a picture when it was opened with --flags "no face"."""
    picture(tmp_path / "a.jpg")
    labelme(tmp_path, [BOX | {"mask": None}], flags={"no face": False}, version="6.3.1")
    assert len(read_one(tmp_path).boxes) == 1


def test_labelme_is_opened_with_a_box_to_tick_for_no_face(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(prelabel.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(
        prelabel.subprocess, "run", lambda a, **_: called.append(a) or SimpleNamespace(returncode=0)
    )
    assert prelabel.annotate(tmp_path) == 0
    assert called[0][:2] == ["/bin/labelme", str(tmp_path)]
    assert called[0][called[0].index("--flags") + 1].lower() in NO_FACE
