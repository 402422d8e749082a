import io
import zipfile

import numpy as np
import PIL.Image
import pytest

from facecctv.errors import InputError, LabelError
from facecctv.learn.data import detection
from facecctv.learn.data.detection import load_boxes, load_faces

HEAD = "image,split,origin,score,x1,y1,x2,y2,lx0,ly0\n"


def png(width=8, height=6):
    stream = io.BytesIO()
    PIL.Image.new("RGB", (width, height), (9, 8, 7)).save(stream, "PNG")
    return stream.getvalue()


def training_folder(folder, rows, pictures=("a.png", "b.png")):
    (folder / "faces.csv").write_text(HEAD + rows)
    with zipfile.ZipFile(folder / "faces_0.zip", "w") as archive:
        for name in pictures:
            archive.writestr(name, png())
    return folder


class TestTrainingData:
    ROWS = "a.png,val,gt,0.9,1,1,4,5,,\na.png,val,gt,0,2,2,4,5,,\na.png,val,ignore,0.3,0,0,2,2,,\n"

    def test_pictures_of_the_split_with_their_rows(self, tmp_path):
        samples = load_faces(
            training_folder(tmp_path, self.ROWS + "b.png,train,gt,1,0,0,3,3,,\n"), "val"
        )
        assert len(samples) == 1
        sample = samples[0]
        assert (sample.name, sample.image.shape) == ("a.png", (6, 8, 3))
        assert sample.image[0, 0].tolist() == [9, 8, 7]
        assert sample.boxes.tolist() == [[1, 1, 4, 5], [2, 2, 4, 5], [0, 0, 2, 2]]
        assert np.isnan(sample.landmarks).all()
        assert sample.ignore.tolist() == [False, True, True]
        assert [s.name for s in samples] == ["a.png"]

    def test_trusted_rows_all_count(self, tmp_path):
        samples = load_faces(training_folder(tmp_path, self.ROWS), "val", trust_all=True)
        assert samples[0].ignore.tolist() == [False, False, True]

    @pytest.mark.parametrize(
        ("rows", "says"),
        [
            ("", "no rows"),
            ("a.png,train,gt,1,0,0,3,3,,\n", "no pictures of the split 'val'; there is: train"),
            ("c.png,val,gt,1,0,0,3,3,,\n", "c.png: in the labels, but in no zip file"),
            ("a.png,val,gt,1,0,0,x,3,,\n", "a.png: could not convert"),
            ("a.png,val,gt,1,0,0,,3,,\n", "a.png: a box needs"),
            ("a.png,val,gt,1,3,0,3,3,,\n", "a.png: a box needs"),
            ("a.png,val,gt,1,0,0,inf,3,,\n", "a.png: a box needs"),
        ],
    )
    def test_labels_that_break_the_form_are_one_line(self, tmp_path, rows, says):
        training_folder(tmp_path, rows)
        with pytest.raises(LabelError, match=r"^[^\n]*$") as caught:
            list(load_faces(tmp_path, "val"))
        assert says in str(caught.value)

    def test_a_missing_column_is_named(self, tmp_path):
        training_folder(tmp_path, "")
        (tmp_path / "faces.csv").write_text("image,split\na.png,val\n")
        with pytest.raises(LabelError, match="no column origin, score"):
            load_faces(tmp_path, "val")

    def test_no_archive_and_a_broken_one(self, tmp_path):
        with pytest.raises(InputError, match="no zip file"):
            load_faces(tmp_path, "val")
        (tmp_path / "x.zip").write_bytes(b"PK nothing")
        with pytest.raises(InputError, match="zip"):
            load_faces(tmp_path, "val")

    def test_a_broken_picture_is_named(self, tmp_path):
        training_folder(tmp_path, "d.png,val,gt,1,0,0,3,3,,\n")
        with zipfile.ZipFile(tmp_path / "faces_1.zip", "w") as archive:
            archive.writestr("d.png", b"no picture")
        with pytest.raises(LabelError, match=r"^d\.png: unreadable"):
            list(load_faces(tmp_path, "val"))


class TestLoosePictures:
    def folder(self, path, table):
        (path / "deep").mkdir()
        (path / "a.png").write_bytes(png())
        (path / "deep/b.png").write_bytes(png(20, 10))
        (path / "boxes.csv").write_text(table)
        return path / "boxes.csv"

    def test_boxes_faceless_pictures_and_regions_to_ignore(self, tmp_path):
        table = self.folder(
            tmp_path,
            "\ufeffimage,x1,y1,x2,y2,ignore\na.png,1,1,4,5,\na.png,0,0,2,2,1\ndeep/b.png,,,,,\n",
        )
        a, b = load_boxes(table)
        assert a.boxes.tolist() == [[1, 1, 4, 5], [0, 0, 2, 2]]
        assert a.ignore.tolist() == [False, True]
        assert (b.name, b.image.shape, b.boxes.shape) == ("deep/b.png", (10, 20, 3), (0, 4))

    def test_a_split_counts_where_there_is_one(self, tmp_path):
        table = self.folder(
            tmp_path, "image,x1,y1,x2,y2,split\na.png,1,1,4,5,val\ndeep/b.png,,,,,train\n"
        )
        assert [s.name for s in load_boxes(table, "train")] == ["deep/b.png"]
        assert len(load_boxes(table)) == 2
        (tmp_path / "plain.csv").write_text("image,x1,y1,x2,y2\na.png,1,1,4,5\n")
        assert len(load_boxes(tmp_path / "plain.csv", "val")) == 1

    @pytest.mark.parametrize(
        ("table", "says"),
        [
            ("image,x1,y1\na.png,1,1\n", "no column x2, y2"),
            ("image,x1,y1,x2,y2\ngone.png,1,1,4,5\n", "gone.png"),
            ("image,x1,y1,x2,y2\na.png,1,1,4\n", "a.png: a box needs"),
        ],
    )
    def test_faults_are_named(self, tmp_path, table, says):
        with pytest.raises(LabelError) as caught:
            list(load_boxes(self.folder(tmp_path, table)))
        assert says in str(caught.value)

    def test_no_table(self, tmp_path):
        with pytest.raises(InputError, match="No such file"):
            load_boxes(tmp_path / "gone.csv")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("load", "folder", "train", "val"),
    [
        (detection.load_faces, "faces", 6612, 534),
        (detection.load_people, "person", 1229, 137),
        (detection.load_bodies, "person", 1229, 137),
        (detection.load_identities, "identities", 5065, 1219),
        (detection.load_scenes, "scenes", 810, 90),
    ],
)
def test_the_private_training_data(shared_data, load, folder, train, val):
    for split, count in (("train", train), ("val", val)):
        samples = load(shared_data / folder, split)
        assert len(samples) == count
        for number in range(0, count, count // 8):
            sample = samples[number]
            assert sample.image.ndim == 3
            assert len(sample.boxes) == len(sample.landmarks) == len(sample.ignore)
            assert np.isfinite(sample.boxes).all()


@pytest.mark.shared
def test_no_private_picture_is_in_both_splits(shared_data):
    names: list[set[str]] = [set(), set()]
    for split, seen in zip(("train", "val"), names, strict=True):
        rows = detection.read_table(shared_data / "faces" / "faces.csv")
        seen.update(row["image"] for row in rows if row["split"] == split)
    assert not names[0] & names[1]
