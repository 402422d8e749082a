import csv
import io
import zipfile

import numpy as np
import pytest
from PIL import Image as PillowImage
from skimage import data

from facecctv.errors import LabelError
from facecctv.geometry import TEMPLATE, align
from facecctv.learn.data.aligned import (
    BORDER,
    SIDE,
    Sight,
    load_people_aligned,
    load_portraits,
    see,
    small_camera,
)
from facecctv.learn.verification import draw_pairs, see_people, shrink_face, verification

EYES = np.array([[201, 107], [242, 107], [222, 133], [207, 152], [237, 152]], np.float32)


def png(image):
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def write_set(folder, name, rows, images):
    folder.mkdir()
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with zipfile.ZipFile(folder / f"{name}_0.zip", "w") as archive:
        for row, image in zip(rows, images, strict=True):
            archive.writestr(row["image"], png(image))
    rng = np.random.default_rng(0)
    np.save(folder / f"{name}_embeddings.npy", rng.normal(size=(len(rows), 128)))
    return folder


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()[40:240, 120:320]


LANDMARKS = EYES - np.array([120, 40], np.float32)


def person_row(number, identity, split):
    points = {f"l{a}{i}": LANDMARKS[i, k] for i in range(5) for k, a in enumerate("xy")}
    box = {"x1": 60, "y1": 20, "x2": 140, "y2": 128}
    return {"image": f"{number}.png", "identity": identity, "split": split, **box, **points}


@pytest.fixture
def people(tmp_path, astronaut):
    rows = [
        person_row(i, identity, split)
        for i, (identity, split) in enumerate(
            [(70, "train"), (5, "train"), (70, "train"), (9, "val"), (9, "val"), (11, "val")]
        )
    ]
    return write_set(tmp_path / "identities", "identities", rows, [astronaut] * len(rows))


def test_people_are_upright_and_numbered_from_zero(people, astronaut):
    loaded = load_people_aligned(people, "train")
    assert loaded.identities.tolist() == [1, 0, 1]
    assert loaded.images.shape == (3, SIDE, SIDE, 3)
    np.testing.assert_allclose(np.linalg.norm(loaded.embeddings, axis=1), 1, rtol=1e-6)
    inner = loaded.images[0][BORDER:-BORDER, BORDER:-BORDER].astype(int)
    assert np.abs(inner - align(astronaut, LANDMARKS)).mean() < 1


def test_portraits_are_taken_as_they_are(tmp_path, astronaut):
    picture = astronaut[:SIDE, :SIDE]
    rows = [{"image": f"{i}.png", "split": split} for i, split in enumerate(["val", "train"])]
    loaded = load_portraits(
        write_set(tmp_path / "portraits", "portraits", rows, [picture, 255 - picture]), "train"
    )
    assert loaded.names == ("1.png",)
    np.testing.assert_array_equal(loaded.images[0], 255 - picture)
    assert loaded.identities.tolist() == [-1]


def test_labels_that_do_not_fit(people):
    with pytest.raises(LabelError, match="split 'test'"):
        load_people_aligned(people, "test")
    np.save(people / "identities_embeddings.npy", np.ones((2, 128)))
    with pytest.raises(LabelError, match="2 rows for 6 pictures"):
        load_people_aligned(people, "train")


def test_a_clean_sight_keeps_the_face_in_its_place(astronaut):
    face = np.pad(align(astronaut, LANDMARKS), ((8, 8), (8, 8), (0, 0)), mode="edge")
    sight = Sight(clean=1.0, shift=0.0)
    seen = {see(face, sight, np.random.default_rng(i)).tobytes() for i in range(8)}
    inner = face[BORDER:-BORDER, BORDER:-BORDER]
    assert seen == {inner.tobytes(), np.ascontiguousarray(inner[:, ::-1]).tobytes()}


def test_every_sight_is_a_repeatable_square(astronaut):
    face = np.pad(align(astronaut, LANDMARKS), ((8, 8), (8, 8), (0, 0)), mode="edge")
    for seed in range(40):
        first = see(face, Sight(), np.random.default_rng(seed))
        assert first.shape == (112, 112, 3)
        assert first.dtype == np.uint8
        np.testing.assert_array_equal(first, see(face, Sight(), np.random.default_rng(seed)))


@pytest.mark.parametrize(("scale", "side"), [(1.0, 128), (0.5, 64), (0.01, 4)])
def test_a_small_camera_has_few_pixels(astronaut, scale, side):
    made = small_camera(astronaut[:128, :128], scale, 0.5, np.random.default_rng(1))
    assert made.shape == (side, side, 3)


def test_template_is_where_the_border_puts_it(people):
    """The stored square is the recognition square with a border on each side."""
    assert SIDE == 112 + 2 * BORDER
    assert TEMPLATE.max() + BORDER < SIDE


class TestPairs:
    def test_two_people_of_two_pictures(self):
        pairs = draw_pairs([1, 1, 2, 2], 10)
        assert sorted(zip(pairs.first[pairs.same], pairs.second[pairs.same], strict=True)) == [
            (0, 1),
            (2, 3),
        ]
        assert (~pairs.same).sum() == 4

    def test_more_pairs_of_two_people_than_of_one(self):
        pairs = draw_pairs([1, 1, 2, 2, 3, 3], 1, different=7)
        assert (pairs.same.sum(), (~pairs.same).sum()) == (1, 7)

    def test_none_twice_and_none_with_itself(self):
        pairs = draw_pairs(np.repeat(np.arange(9), 7), 60, seed=3)
        drawn = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
        assert len(drawn) == 120
        assert (pairs.first < pairs.second).all()


def test_a_shrunk_face_has_its_height_and_landmarks(people):
    from facecctv.learn.data.detection import load_identities

    sample = next(iter(load_identities(people, "val")))
    small = shrink_face(sample, 27, np.random.default_rng(0))
    assert small.image.shape == (50, 50, 3)
    np.testing.assert_allclose(small.landmarks, sample.landmarks / 4, atol=1e-4)
    same = shrink_face(sample, 500, np.random.default_rng(0))
    assert same.image.shape == sample.image.shape


def test_a_perfect_and_a_blind_embedder(people):
    """All val pictures are the same photograph: nobody can tell these people apart."""

    def brightness(faces):
        return np.ones((len(faces), 1), np.float32)

    seen = see_people(brightness, people, sizes=(None, 24))
    pairs = draw_pairs(seen.people, 5)
    reports = verification(seen, pairs)
    assert pairs.same.tolist() == [True, False, False]
    assert [report.eer for report in reports] == [0.5, 0.5]
    assert [report.height for report in reports] == [None, 24]
