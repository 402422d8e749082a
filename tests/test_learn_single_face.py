import h5py
import numpy as np
import pytest

pytest.importorskip("torch")

import cv2
import keras
import torch

from facecctv.errors import InputError, ModelError, SettingError
from facecctv.learn.data.dataset import Labelled, Pictures
from facecctv.learn.data.single import (
    PlainSource,
    SingleFaces,
    SingleSource,
    jiggle,
    largest,
    load_single,
    usable,
)
from facecctv.learn.fitting import Training
from facecctv.learn.nets.backbone import backbone_names, build_backbone
from facecctv.learn.nets.vgg16 import TwoHeadNet
from facecctv.learn.outcomes import single_outcome, split_point
from facecctv.learn.recipes import single_face
from facecctv.models.session import Session
from facecctv.vision.single import SingleFaceDetector

SIZE = 48


def scene(rng, face):
    """A grey square, with a bright ellipse on it where there is a face."""
    image = np.full((SIZE, SIZE, 3), rng.integers(30, 90), np.uint8)
    if not face:
        return image, np.zeros(4, np.float32)
    half = rng.integers(6, 12, 2)
    centre = rng.integers(half + 1, SIZE - half - 1)
    cv2.ellipse(image, centre.tolist(), half.tolist(), 0, 0, 360, (230, 190, 160), -1)
    box = np.concatenate([centre - half, centre + half + 1]).astype(np.float32) / SIZE
    return image, box


def scenes(count, seed=0):
    rng = np.random.default_rng(seed)
    made = [scene(rng, number % 3 > 0) for number in range(count)]
    names = tuple(f"{n}.png" for n in range(count))
    return SingleFaces(np.stack([m[0] for m in made]), np.stack([m[1] for m in made]), names)


def test_unknown_trunks_and_one_of_another_kind():
    assert {"VGG16", "ResNet50", "MobileNetV2"} <= set(backbone_names())
    with pytest.raises(SettingError, match="no trunk 'VGG17'"):
        build_backbone("VGG17", 64)
    with pytest.raises(SettingError, match="for recognisers only"):
        build_backbone("shipped", 64)
    with pytest.raises(SettingError, match="cannot take pictures of 16 px"):
        build_backbone("VGG16", 16)


def write_official(path, trunk):
    """The layout of Keras' published files: a group a layer, weights named in its attribute."""
    with h5py.File(path, "w") as file:
        layers = [layer for layer in trunk.layers if layer.weights]
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}_{kind}_1:0".encode() for kind in ("W", "b")]
            group.attrs["weight_names"] = names[: len(layer.weights)]
            for name, value in zip(names, layer.get_weights(), strict=False):
                group[name.decode()] = value


def test_weights_in_the_official_layout_are_loaded(tmp_path):
    source = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    path = tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    write_official(path, source)
    loaded = build_backbone("vgg16", 32, str(path)).get_layer("vgg16")
    for a, b in zip(source.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_that_cannot_be_had_are_one_clear_line(tmp_path):
    with pytest.raises(ModelError, match="--weights FILE") as caught:
        build_backbone("VGG16", 32, "imagenet", offline=True)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="No such file"):
        build_backbone("MobileNet", 32, str(tmp_path / "none.h5"))
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(InputError, match="not a file of weights"):
        build_backbone("MobileNet", 32, str(tmp_path / "text.h5"))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = [b"dense/kernel:0"]
        file["dense"]["dense/kernel:0"] = np.zeros((2, 2), np.float32)
    with pytest.raises(ModelError, match="not weights of MobileNet"):
        build_backbone("MobileNet", 32, str(tmp_path / "other.h5"))


def test_views_keep_the_face_and_move_its_box_with_it():
    image = np.full((SIZE, SIZE, 3), 114, np.uint8)
    image[12:30, 20:34] = (230, 40, 40)
    box = np.float32([20, 12, 34, 30]) / SIZE
    seen = 0
    for seed in range(60):
        view, moved = jiggle(image, box, SIZE, np.random.default_rng(seed))
        assert view.shape == (SIZE, SIZE, 3)
        assert view.dtype == np.uint8
        assert (moved >= 0).all()
        assert (moved <= 1).all()
        redness = view[..., 0].astype(int) - view[..., 2]
        if redness.max() < 60:  # some views are grey
            continue
        seen += 1
        ys, xs = np.nonzero(redness > redness.max() / 2)
        found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        np.testing.assert_allclose(found, moved * SIZE, atol=1.5)
    assert seen > 30


def test_views_of_faceless_pictures_stay_faceless_and_no_generator_changes_nothing():
    data = scenes(3)
    assert not jiggle(data.pictures[0], data.boxes[0], SIZE, np.random.default_rng(0))[1].any()
    same, box = jiggle(data.pictures[1], data.boxes[1], SIZE, None)
    np.testing.assert_array_equal(same, data.pictures[1])
    np.testing.assert_array_equal(box, data.boxes[1])


def test_batches_are_the_same_for_the_same_number_and_cover_an_epoch():
    data = scenes(10)
    source = SingleSource(data, SIZE, 4, seed=0)
    assert source.steps == 2
    (a, first), (b, second) = source.batch(1, 0), source.batch(1, 0)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first["box"], second["box"])
    assert a.shape == (4, SIZE, SIZE, 3)
    assert not np.array_equal(a, source.batch(2, 0)[0])
    with pytest.raises(SettingError, match="10 training pictures are fewer than a batch of 16"):
        SingleSource(data, SIZE, 16, seed=0)


def test_labels_become_one_box_or_none(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((40, 80, 3), 90, np.uint8))
    two = Labelled(path, 80, 40, boxes=np.float32([[0, 0, 10, 10], [20, 0, 60, 40]]))
    none = Labelled(path, 80, 40)
    unsaid = Labelled(path, 80, 40, located=False)
    unsure = Labelled(path, 80, 40, boxes=np.float32([[0, 0, 9, 9]]), ignore=np.array([True]))
    assert largest(none) is None
    assert usable([two, none, unsaid, unsure]) == [two, none]
    with pytest.raises(InputError, match="where its face is"):
        usable([unsaid])
    data = load_single([two, none], 40, Pictures())
    # Shrunk to one half and centred: 10 rows of padding.
    np.testing.assert_allclose(data.boxes, [[0.25, 0.25, 0.75, 0.75], [0, 0, 0, 0]])
    assert data.faces.tolist() == [True, False]


def test_figures_of_an_outcome():
    found = single_outcome(
        ("a", "b", "c"),
        np.array([0.9, 0.2, 0.4]),
        np.float32([[0, 0, 0.5, 1], [0, 0, 1, 1], [0, 0, 1, 1]]),
        np.array([True, False, True]),
        np.float32([[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1]]),
    )
    assert found.threshold == pytest.approx(0.3)
    assert found.row() == {"accuracy": 1.0, "mean_iou": 0.75, "iou_50": 1.0}
    assert found.confusion().tolist() == [[1, 0], [0, 2]]


@pytest.mark.parametrize(
    ("values", "flags", "expected"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 0.5),
        ([0.1, 0.5, 0.6, 0.9], [0, 1, 0, 1], 0.3),
        ([0.3, 0.3], [1, 1], 0.3),
        ([0.3], [0], 0.3),
    ],
)
def test_split_points(values, flags, expected):
    assert split_point(np.array(values), np.array(flags, bool)) == pytest.approx(expected)


def test_two_heads_learn_a_few_pictures_and_the_export_says_the_same(tmp_path):
    data = scenes(24)
    recipe = single_face.SingleFaceRecipe(
        net=TwoHeadNet("VGG16", SIZE, hidden=64, pooling="flatten"),
        training=Training(epochs=16, batch=8, learning_rate=2e-4, seed=1),
        weights="none",
        augment=False,
    )
    history = single_face.train(single_face.Split(data, data), tmp_path, recipe)
    for head in ("face_loss", "box_loss"):
        assert history[-1][head] < history[0][head] / 2
    model = single_face.trained(tmp_path, recipe)
    found = single_face.judge(model, data)
    assert found.accuracy == 1.0
    assert found.mean_iou > 0.6

    card = single_face.single_card("mine", recipe, found, "generated")
    assert card.extra["landmarks"] == "average"
    detect = SingleFaceDetector(Session(single_face.export_single(model, card)))
    for number in range(6):
        faces = detect(data.pictures[number])
        assert bool(faces) == bool(data.faces[number])
        if faces:
            said = found.boxes[number] * SIZE
            np.testing.assert_allclose(faces[0].box, np.clip(said, 0, SIZE), atol=0.5)


@pytest.mark.parametrize("name", ["MobileNet", "VGG16"])
def test_a_trunk_leaves_the_pixels_it_is_given_alone(name):
    pictures = torch.full((1, 32, 32, 3), 200.0)
    build_backbone(name, 32)(pictures)
    assert (pictures == 200).all()


def test_validation_batches_cover_every_picture_once():
    data = scenes(5)
    source = PlainSource(data, SIZE, 2)
    assert [len(source.batch(0, n)[0]) for n in range(source.steps)] == [2, 2, 1]
