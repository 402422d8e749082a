import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facecctv.errors import InputError, LabelError
from facecctv.learn.data.dataset import Dataset, Labelled, Pictures
from facecctv.learn.data.faces import face_picture
from facecctv.learn.data.pairs import (
    Triplets,
    embed_dataset,
    load_embeddings,
    make_pairs,
    make_triplets,
    read_pairs,
    write_pairs,
)

WHO = ["anna"] * 4 + ["ben"] * 3 + ["cleo"] + [None] * 2


@pytest.mark.parametrize("who", [[], [None], ["anna"] * 5])
def test_fewer_than_two_people_is_one_clear_error(who):
    with pytest.raises(InputError, match="two people"):
        make_pairs(who, 2)


def test_nobody_with_two_pictures_is_one_clear_error():
    with pytest.raises(InputError, match="everybody has one"):
        make_triplets(["anna", "ben"], 2)


@settings(max_examples=40)
@given(count=st.integers(1, 18), seed=st.integers(0, 99))
def test_pairs_are_balanced_different_and_right(count, seed):
    pairs = make_pairs(WHO, count, seed)
    assert len(pairs) == count
    assert pairs.same.sum() == (count + 1) // 2
    seen = set()
    for a, b, same in zip(pairs.first, pairs.second, pairs.same, strict=True):
        assert a != b
        assert WHO[a] is not None
        assert WHO[b] is not None
        assert (WHO[a] == WHO[b]) == same
        seen.add(frozenset((int(a), int(b))))
    assert len(seen) == count


def test_every_pair_there_is_can_be_had_and_not_one_more():
    assert len(make_pairs(WHO, 18)) == 18  # 6 + 3 of one person
    with pytest.raises(InputError, match="10 pairs of one person are wanted, and there are 9"):
        make_pairs(WHO, 19)


@pytest.mark.parametrize("mining", ["random", "semi-hard", "hard"])
def test_the_same_seed_gives_the_same_and_another_seed_another(mining):
    vectors = np.random.default_rng(0).normal(size=(len(WHO), 4))
    one, two, other = (make_triplets(WHO, 12, s, mining, vectors) for s in (3, 3, 4))
    np.testing.assert_array_equal(one.negative, two.negative)
    assert (one.anchor != other.anchor).any()


@settings(max_examples=25)
@given(mining=st.sampled_from(["random", "semi-hard", "hard"]), seed=st.integers(0, 99))
def test_triplets_are_two_of_one_and_a_stranger(mining, seed):
    vectors = np.random.default_rng(seed).normal(size=(len(WHO), 4))
    found = make_triplets(WHO, 15, seed, mining, vectors)
    assert len(found) == 15
    for a, p, n in zip(found.anchor, found.positive, found.negative, strict=True):
        assert a != p
        assert WHO[a] == WHO[p] != WHO[n]
        assert WHO[n] is not None


def on_circle(*degrees):
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_hard_and_semi_hard_negatives_by_hand():
    who = ["a", "a", "b", "c", "d"]
    vectors = on_circle(0, 20, 10, 24, 90)  # squared distances to 0: .12 .03 .17 2
    hard = make_triplets(who, 2, 0, "hard", vectors)
    assert {(int(a), int(n)) for a, n in zip(hard.anchor, hard.negative, strict=True)} <= {
        (0, 2), (1, 3),
    }  # fmt: skip
    semi = make_triplets(who, 2, 0, "semi-hard", vectors)
    chosen = dict(zip(semi.anchor.tolist(), semi.negative.tolist(), strict=True))
    assert chosen[0] == 3  # 2 is nearer than the positive, 4 beyond the margin
    assert chosen[1] == 4  # nobody within the margin: the nearest beyond the positive


def test_hard_pairs_are_nearest_strangers():
    pairs = make_pairs(["a", "a", "b", "b"], 4, 0, "hard", on_circle(0, 90, 10, 100))
    strangers = {
        frozenset((int(a), int(b)))
        for a, b, same in zip(pairs.first, pairs.second, pairs.same, strict=True)
        if not same
    }
    assert strangers == {frozenset((0, 2)), frozenset((1, 3))}


@pytest.mark.parametrize("wrong", [None, np.ones((3, 2)), np.full((len(WHO), 2), np.nan)])
def test_mining_without_fitting_embeddings_is_refused(wrong):
    with pytest.raises(InputError, match="embeddings"):
        make_pairs(WHO, 4, mining="hard", embeddings=wrong)


@pytest.mark.parametrize("make", [make_pairs, make_triplets])
def test_tables_read_back(tmp_path, make):
    names = [f"{i}, é.jpg" for i in range(len(WHO))]
    found = make(WHO, 8)
    write_pairs(tmp_path / "t.csv", names, found)
    again = read_pairs(tmp_path / "t.csv", names)
    for name, column in vars(found).items():
        np.testing.assert_array_equal(getattr(again, name), column)
    assert isinstance(again, Triplets) == (make is make_triplets)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "neither"), ("a,b\n", "neither"), ("first,second,same\nx,y,1\n", "not in the data set"),
     ("first,second,same\n0,1\n", "columns")],
)  # fmt: skip
def test_broken_tables_are_refused(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(LabelError, match=message):
        read_pairs(tmp_path / "t.csv", ["0", "1"])


def test_embeddings_come_from_npy_files_of_numbers_only(tmp_path):
    np.save(tmp_path / "e.npy", np.eye(3))
    assert load_embeddings(tmp_path / "e.npy").dtype == np.float32
    (tmp_path / "x.npy").write_bytes(b"x")
    np.save(tmp_path / "one.npy", np.ones(3))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    for name in ("x.npy", "one.npy", "objects.npy"):
        with pytest.raises(LabelError):
            load_embeddings(tmp_path / name)
    with pytest.raises(InputError):
        load_embeddings(tmp_path / "gone.npy")


@pytest.fixture
def faces(tmp_path):
    """Six pictures of three people; a white square is the face."""
    items = []
    for i in range(6):
        pixels = np.full((60, 80, 3), 20 * i, np.uint8)
        pixels[20:40, 30:50] = 255
        PIL.Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        path = tmp_path / f"{i}.png"
        items.append(Labelled(path, 80, 60, boxes=[[30, 20, 50, 40]], identity=str(i // 2)))
    return Dataset(tmp_path, "made", tuple(items))


def test_a_face_is_cut_out_by_its_box(faces):
    tight = face_picture(Pictures(), faces.items[0], 32, margin=0)
    assert tight.shape == (32, 32, 3)
    assert tight[2:-2, 2:-2].min() > 250
    wide = face_picture(Pictures(), faces.items[0], 32, margin=0.5)
    assert wide[0, 0].max() < 10
    assert wide[16, 16].min() > 250


def test_embeddings_by_a_function(faces):
    vectors = embed_dataset(faces, lambda batch: [[image.mean()] for image in batch], side=16)
    assert vectors.shape == (6, 1)


def test_batches_for_keras(faces):
    from facecctv.learn.data.batches import FaceBatches

    who = [item.identity for item in faces]
    pairs = make_pairs(who, 6)
    batches = FaceBatches(faces.items, pairs, batch=4, side=16, seed=1)
    assert len(batches) == 2
    (first, second), same = batches[0]
    assert first.shape == second.shape == (4, 16, 16, 3)
    assert first.dtype == same.dtype == np.float32
    assert 0 <= first.min() <= first.max() <= 255
    before = [batches[i][1].tolist() for i in range(2)]
    assert sum(map(sum, before)) == 3
    orders = set()
    for _ in range(4):
        batches.on_epoch_end()
        orders.add(tuple(batches[0][1]))
    assert len(orders) > 1
    (anchor, positive, negative), _ = FaceBatches(faces.items, make_triplets(who, 4), 4, 16)[0]
    assert anchor.shape == positive.shape == negative.shape
    with pytest.raises(InputError, match="fewer than a batch"):
        FaceBatches(faces.items, pairs, batch=7)
