import json
import tempfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facecctv.errors import ImageError, InputError, LabelError
from facecctv.learn.data.dataset import Dataset, Labelled, Pictures, read_dataset
from facecctv.learn.data.formats.export import WRITERS, export

SIZE = (160, 120)


def picture(path, size=SIZE, shade=90, **save):
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    pixels = np.stack([x % 256, y % 256, np.full_like(x, shade)], axis=2).astype(np.uint8)
    PIL.Image.fromarray(pixels).save(path, **save)
    return path


def pieces(dataset):
    """Everything a format can keep, by the picture's stem."""
    return {item.path.stem: item for item in dataset}


whole = st.integers(0, 60)
sides = st.integers(1, 50)
fine = st.floats(0, 1, width=32).filter(lambda v: v == 0 or v > 1e-3)


@st.composite
def labelled(draw, path, *, labels=("face", "mask"), fraction=True):
    boxes, landmarks = [], []
    for _ in range(draw(st.integers(0, 3))):
        shift = (draw(fine), draw(fine)) if fraction else (0, 0)
        x, y = draw(whole) + shift[0], draw(whole) + shift[1]
        boxes.append([x, y, x + draw(sides), y + draw(sides)])
        known = draw(st.booleans())
        landmarks.append([[x + i, y + i / 2] if known else [np.nan, np.nan] for i in range(5)])
    count = len(boxes)
    return Labelled(
        path,
        *SIZE,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=tuple(draw(st.sampled_from(labels)) for _ in range(count)),
        landmarks=np.array(landmarks, np.float32).reshape(-1, 5, 2),
        ignore=np.array([draw(st.booleans()) for _ in range(count)], bool),
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return picture(tmp_path_factory.mktemp("source") / "a.jpg")


KEEPS = {
    "labelme": {"labels", "landmarks", "ignore"},
    "yolo": {"labels", "landmarks"},
    "voc": {"labels", "ignore"},
    "coco": {"labels", "landmarks", "ignore"},
    "wider": {"ignore"},
    "csv": {"labels", "landmarks", "ignore"},
}
TOLERANCE = {"wider": 0.51, "csv": 0, "labelme": 0}


@pytest.mark.parametrize("format", WRITERS)
@settings(max_examples=25)
@given(data=st.data())
def test_what_a_format_keeps_survives_the_way_out_and_back(source, format, data):
    item = data.draw(labelled(source, fraction=True))
    with tempfile.TemporaryDirectory() as folder:
        export(Dataset(source.parent, "made", (item,)), Path(folder), format)
        back = read_dataset(Path(folder))
        assert back.format == format
        assert back.faults == ()
        (again,) = back.items
    assert again.size == item.size
    assert again.located
    atol = TOLERANCE.get(format, 1e-4)
    np.testing.assert_allclose(again.boxes, item.boxes, atol=atol, rtol=0)
    if "labels" in KEEPS[format]:
        assert again.labels == item.labels
    if "ignore" in KEEPS[format]:
        np.testing.assert_array_equal(again.ignore, item.ignore)
    if "landmarks" in KEEPS[format]:
        np.testing.assert_allclose(again.landmarks, item.landmarks, atol=max(atol, 1e-4), rtol=0)


@pytest.mark.parametrize("format", ["labelme", "csv"])
def test_identity_and_attributes_survive(tmp_path, source, format):
    item = Labelled(source, *SIZE, identity="Anna B", attributes={"age": 31.0, "light": "dim"})
    export(Dataset(source.parent, "made", (item,)), tmp_path, format)
    (again,) = read_dataset(tmp_path).items
    assert again.identity == "Anna B"
    assert again.attributes == {"age": 31.0, "light": "dim"}


def test_csv_keeps_that_nothing_is_known_of_places(tmp_path, source):
    item = Labelled(source, *SIZE, identity="7", located=False)
    export(Dataset(source.parent, "made", (item,)), tmp_path, "csv")
    assert not read_dataset(tmp_path).items[0].located


def test_pictures_are_copied_byte_for_byte_unless_exif_turns_them(tmp_path):
    plain = picture(tmp_path / "in" / "a.jpg")
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    turned = picture(tmp_path / "in" / "b.jpg", exif=exif)
    items = (Labelled(plain, *SIZE), Labelled(turned, *SIZE[::-1]))
    export(Dataset(tmp_path / "in", "made", items), tmp_path / "out", "coco")
    assert (tmp_path / "out/images/a.jpg").read_bytes() == plain.read_bytes()
    with PIL.Image.open(tmp_path / "out/images/b.jpg") as image:
        assert image.size == SIZE[::-1]
        assert 0x0112 not in image.getexif()


def test_pictures_of_one_stem_get_label_files_of_their_own(tmp_path):
    paths = [picture(tmp_path / "in" / n) for n in ("a.jpg", "a.png", "b/a.jpg")]
    boxes = [[[1, 1, 9, 9]], [[2, 2, 9, 9]], [[3, 3, 9, 9]]]
    items = [Labelled(p, *SIZE, boxes=b) for p, b in zip(paths, boxes, strict=True)]
    export(Dataset(tmp_path / "in", "made", tuple(items)), tmp_path / "out", "yolo")
    back = pieces(read_dataset(tmp_path / "out"))
    assert sorted(back) == ["a", "a-2"]  # the third is a.txt in a folder of its own
    assert len(read_dataset(tmp_path / "out")) == 3


def test_links_point_to_the_pictures(tmp_path, source):
    items = (Labelled(source, *SIZE),)
    for _ in range(2):  # a second time replaces the first
        export(Dataset(source.parent, "made", items), tmp_path, "voc", "link")
    assert (tmp_path / "JPEGImages" / "a.jpg").resolve() == source.resolve()
    assert len(read_dataset(tmp_path)) == 1


def test_yolo_lists_the_splits(tmp_path):
    paths = [picture(tmp_path / "in" / f"{i}.jpg") for i in range(3)]
    splits = ("train", "train", "val")
    items = tuple(
        Labelled(p, *SIZE, attributes={"split": s}) for p, s in zip(paths, splits, strict=True)
    )
    export(Dataset(tmp_path / "in", "made", items), tmp_path / "out", "yolo")
    assert (tmp_path / "out/train.txt").read_text() == "./images/0.jpg\n./images/1.jpg\n"
    assert "val: val.txt" in (tmp_path / "out/data.yaml").read_text()


YAML_NAMES = {
    "names: [face, 'a b']\nnc: 2\n": "a b",
    'names: ["face", "mask"]\n': "mask",
    "path: x\nnames:\n  0: face\n  1: mask\ntrain: y\n": "mask",
    "names:\n- face\n- mask\n": "mask",
    "names: {0: face, 1: mask}\n": "mask",
}


@pytest.mark.parametrize(("yaml", "second"), YAML_NAMES.items())
def test_yolo_names_in_every_way_people_write_them(tmp_path, yaml, second):
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text("1 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.25 0.5\n")
    (tmp_path / "data.yaml").write_text(yaml)
    (item,) = read_dataset(tmp_path).items
    assert item.labels == (second, "face")
    np.testing.assert_allclose(item.boxes[0], [40, 30, 120, 90])


YOLO_FAULTS = {
    "0 0.5 0.5 0.1": "line 1 has 4 values",
    "0 0.5 0.5 0.1 x": "not made of numbers",
    "0 0.5 0.5 nan 0.1": "no finite number",
    "0 0.5 0.5 0 0.1": "without area",
    "5 0.5 0.5 0.1 0.1": "class 5 has no name",
}


@pytest.mark.parametrize(("text", "detail"), YOLO_FAULTS.items())
def test_broken_yolo_lines_are_one_fault(tmp_path, text, detail):
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "data.yaml").write_text("names: [face]")
    dataset = read_dataset(tmp_path)
    assert len(dataset) == 0
    (fault,) = dataset.faults
    assert detail in fault.detail


def test_a_yolo_polygon_becomes_its_box_and_a_missing_file_is_a_fault(tmp_path):
    picture(tmp_path / "images/a.jpg")
    picture(tmp_path / "images/b.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.25 0.5 0.5 0.25 0.5 0.75\n")
    dataset = read_dataset(tmp_path)
    np.testing.assert_allclose(dataset.items[0].boxes, [[40, 30, 80, 90]])
    assert [f.kind for f in dataset.faults] == ["no labels"]


def test_voc_counts_from_one(tmp_path):
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text(
        "<annotation><filename>a.jpg</filename><object><name>face</name><bndbox><xmin>1</xmin>"
        "<ymin>1</ymin><xmax>160</xmax><ymax>120</ymax></bndbox></object></annotation>"
    )
    np.testing.assert_array_equal(read_dataset(tmp_path).items[0].boxes, [[0, 0, 160, 120]])


@pytest.mark.parametrize(
    ("xml", "detail"),
    [
        ("<annotation><filename>a.jpg", "not XML"),
        ("<annotation><filename>gone.jpg</filename></annotation>", "missing"),
        ("<annotation><filename>a.jpg</filename><object/></annotation>", "without a box"),
    ],
)
def test_broken_voc_is_one_fault(tmp_path, xml, detail):
    picture(tmp_path / "a.jpg")
    (tmp_path / "b.xml").write_text(xml)
    (fault,) = read_dataset(tmp_path).faults
    assert detail in fault.detail


def test_wider_in_the_official_layout(tmp_path):
    picture(tmp_path / "WIDER_train/images/0--Parade/p.jpg")
    picture(tmp_path / "WIDER_train/images/0--Parade/q.jpg")
    text = (
        "0--Parade/p.jpg\n2\n10 20 30 40 2 0 0 0 0 0 \n1 1 5 5 0 0 0 1 0 0 \n"
        "0--Parade/q.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n0--Parade/gone.jpg\n1\n1 1 2 2 0 0 0 0 0 0 \n"
    )
    folder = tmp_path / "wider_face_split"
    folder.mkdir()
    (folder / "wider_face_train_bbx_gt.txt").write_text(text)
    dataset = read_dataset(tmp_path)
    p, q = dataset.items
    np.testing.assert_array_equal(p.boxes, [[10, 20, 40, 60], [1, 1, 6, 6]])
    assert p.ignore.tolist() == [False, True]
    assert p.attributes == {"split": "train"}
    assert len(q.boxes) == 0
    assert [f.kind for f in dataset.faults] == ["missing picture"]


@pytest.mark.parametrize("text", ["a.jpg\n", "a.jpg\nmany\n"])
def test_a_wider_file_without_a_count_is_refused(tmp_path, text):
    (tmp_path / "wider_face_train_bbx_gt.txt").write_text(text)
    with pytest.raises(LabelError, match="no number of faces"):
        read_dataset(tmp_path)


def test_a_coco_file_that_lacks_a_picture_or_a_category(tmp_path):
    picture(tmp_path / "a.jpg")
    body = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 160, "height": 120},
            {"id": 2, "file_name": "gone.jpg", "width": 160, "height": 120},
        ],
        "annotations": [{"image_id": 1, "category_id": 9, "bbox": [1, 1, 5, 5]}],
        "categories": [],
    }
    (tmp_path / "l.json").write_text(json.dumps(body))
    assert [f.kind for f in read_dataset(tmp_path).faults] == ["broken label", "missing picture"]


def test_a_csv_of_another_tool_is_understood(tmp_path):
    picture(tmp_path / "a.jpg")
    (tmp_path / "t.csv").write_text("filename,xmin,ymin,xmax,ymax,class\na.jpg,1,2,3,4,face\n")
    (item,) = read_dataset(tmp_path).items
    np.testing.assert_array_equal(item.boxes, [[1, 2, 3, 4]])


@pytest.mark.parametrize(
    ("row", "kind"),
    [("a.jpg,1,2,3,", "broken label"), ("a.jpg,1,2,3,inf", "broken label"),
     ("gone.jpg,1,2,3,4", "missing picture"), ("a.jpg,1,2,3,x", "broken label")],
)  # fmt: skip
def test_broken_rows_of_a_csv_are_faults(tmp_path, row, kind):
    picture(tmp_path / "a.jpg")
    (tmp_path / "t.csv").write_text(f"image,x1,y1,x2,y2\n{row}\n")
    assert [f.kind for f in read_dataset(tmp_path).faults] == [kind]


def test_a_csv_finds_pictures_in_a_zip_file(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(picture(tmp_path / "x" / "a.png"), "in/a.png")
    (tmp_path / "t.csv").write_text("image,x1,y1,x2,y2,identity\nin/a.png,1,2,3,4,anna\n")
    dataset = read_dataset(tmp_path / "t.csv")
    (item,) = dataset.items
    assert dataset.name(item) == "p.zip/in/a.png"
    assert Pictures().image(item.path).shape == (120, 160, 3)
    with pytest.raises(ImageError, match="not in the zip file"):
        Pictures().image(tmp_path / "p.zip" / "b.png")


def test_nothing_to_read_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        read_dataset(tmp_path / "gone")
    with pytest.raises(LabelError, match="no labels recognised"):
        read_dataset(tmp_path)
    picture(tmp_path / "a.jpg")
    with pytest.raises(LabelError, match="no labels recognised"):
        read_dataset(tmp_path)
    with pytest.raises(LabelError, match="no label format"):
        read_dataset(tmp_path, "yollo")


@pytest.mark.parametrize(
    "fields",
    [{"boxes": [[0, 0, 1, 1]], "labels": ("a", "b")}, {"boxes": [[0, 0, 1, 1]], "located": False}],
)
def test_fields_that_do_not_fit_are_refused(fields):
    with pytest.raises(ValueError, match="box"):
        Labelled(Path("a.jpg"), 10, 10, **fields)
