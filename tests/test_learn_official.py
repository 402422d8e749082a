import numpy as np
import pytest

from facecctv.errors import InputError, LabelError
from facecctv.learn.data.dataset import read_dataset
from tests.test_learn_formats import SIZE, picture


def by_name(dataset):
    return {item.path.name: item for item in dataset}


@pytest.fixture
def celeba(tmp_path):
    """Three pictures in the layout of CelebA's own download."""
    for i in (1, 2):
        picture(tmp_path / f"Img/img_align_celeba/00000{i}.jpg")
    anno = tmp_path / "Anno"
    anno.mkdir()
    (anno / "list_attr_celeba.txt").write_text(
        "3\nMale Young\n000001.jpg -1  1\n000002.jpg  1 -1\n000003.jpg  1  1\n"
    )
    (anno / "identity_CelebA.txt").write_text("000001.jpg 2880\n000002.jpg 2937\n000003.jpg 8\n")
    (anno / "list_bbox_celeba.txt").write_text(
        "3\nimage_id x_1 y_1 width height\n000001.jpg 10 20 30 40\n000002.jpg 1 1 2 2\n"
        "000003.jpg 1 1 2 2\n"
    )
    marks = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y "
    (anno / "list_landmarks_celeba.txt").write_text(
        f"3\n{marks}rightmouth_x rightmouth_y\n000001.jpg 1 2 3 4 5 6 7 8 9 10\n"
    )
    (tmp_path / "Eval").mkdir()
    (tmp_path / "Eval/list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 2\n")
    return tmp_path


def test_celeba_aligned_says_who_but_not_where(celeba):
    dataset = read_dataset(celeba)
    assert dataset.format == "celeba"
    first, second = dataset.items
    assert first.identity == "2880"
    assert first.attributes == {"Male": -1.0, "Young": 1.0, "split": "train"}
    assert second.attributes["split"] == "test"
    assert not first.located
    assert [fault.kind for fault in dataset.faults] == ["missing picture"]


def test_celeba_in_the_wild_has_boxes_and_landmarks(celeba):
    (celeba / "Img/img_align_celeba").rename(celeba / "Img/img_celeba")
    item = by_name(read_dataset(celeba))["000001.jpg"]
    np.testing.assert_array_equal(item.boxes, [[10, 20, 40, 60]])
    np.testing.assert_array_equal(item.landmarks[0], np.arange(1, 11).reshape(5, 2))


def test_celeba_as_csv_tables(tmp_path):
    picture(tmp_path / "img_align_celeba/img_align_celeba/000001.jpg")
    (tmp_path / "list_attr_celeba.csv").write_text("image_id,Male\n000001.jpg,-1\n")
    (tmp_path / "list_eval_partition.csv").write_text("image_id,partition\n000001.jpg,1\n")
    (item,) = read_dataset(tmp_path).items
    assert item.attributes == {"Male": -1.0, "split": "val"}


def test_a_celeba_table_with_a_short_row_is_refused(celeba):
    (celeba / "Anno/list_attr_celeba.txt").write_text("1\nMale Young\n000001.jpg -1\n")
    with pytest.raises(LabelError, match="other columns"):
        read_dataset(celeba)


def test_celeba_without_pictures_is_refused(tmp_path):
    (tmp_path / "identity_CelebA.txt").write_text("000001.jpg 1\n")
    with pytest.raises(InputError, match="img_celeba"):
        read_dataset(tmp_path)


def test_lfw(tmp_path):
    picture(tmp_path / "lfw/Ada_L/Ada_L_0001.jpg")
    picture(tmp_path / "lfw/Bo_M/Bo_M_0001.jpg")
    (tmp_path / "peopleDevTrain.txt").write_text("1\nAda_L\t1\n")
    dataset = read_dataset(tmp_path)
    assert dataset.format == "lfw"
    items = by_name(dataset)
    assert items["Ada_L_0001.jpg"].identity == "Ada_L"
    assert items["Ada_L_0001.jpg"].attributes == {"split": "train"}
    assert items["Bo_M_0001.jpg"].attributes == {}


def test_fairface(tmp_path):
    picture(tmp_path / "train/1.jpg")
    (tmp_path / "fairface_label_train.csv").write_text(
        "file,age,gender,race,service_test\ntrain/1.jpg,50-59,Male,East Asian,True\n"
        "train/2.jpg,20-29,Female,White,True\n"
    )
    dataset = read_dataset(tmp_path)
    assert dataset.format == "fairface"
    attributes = dataset.items[0].attributes
    assert (attributes["age"], attributes["race"]) == ("50-59", "East Asian")
    assert attributes["split"] == "train"
    assert [fault.source for fault in dataset.faults] == ["train/2.jpg"]


def test_utkface_reads_names_and_reports_the_few_that_lack_one(tmp_path):
    picture(tmp_path / "26_1_2_20170116174525125.jpg.chip.jpg")
    picture(tmp_path / "100_0_4_20170116174525125.jpg")
    picture(tmp_path / "39_1_20170116174525125.jpg.chip.jpg")
    dataset = read_dataset(tmp_path)
    assert dataset.format == "utkface"
    attributes = by_name(dataset)["26_1_2_20170116174525125.jpg.chip.jpg"].attributes
    assert attributes == {"age": 26.0, "gender": "female", "race": "asian"}
    assert [fault.kind for fault in dataset.faults] == ["broken label"]


def test_one_folder_per_person(tmp_path):
    picture(tmp_path / "anna/1.jpg")
    picture(tmp_path / "ben/1.jpg")
    (tmp_path / "ben/2.jpg").write_bytes(b"\xff\xd8\xff broken")
    dataset = read_dataset(tmp_path)
    assert [item.identity for item in dataset] == ["anna", "ben"]
    assert dataset.items[0].size == SIZE
    assert [fault.kind for fault in dataset.faults] == ["unreadable picture"]
