from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import cv2
import torch

import facecctv
from facecctv.errors import InputError, ModelError, SettingError
from facecctv.learn.data.dataset import Labelled, Pictures
from facecctv.learn.data.persons import (
    PairSource,
    People,
    PersonSource,
    choose_crop,
    cut_box,
    draw_pairs,
    known,
)
from facecctv.learn.fitting import Training
from facecctv.learn.nets import embedder as face_embedder
from facecctv.learn.nets.folded import load_in_order
from facecctv.learn.nets.siamese import EmbedderNet
from facecctv.learn.outcomes import pair_outcome
from facecctv.learn.recipes import siamese
from facecctv.learn.taught import compare_pictures, pairs_of
from facecctv.models.card import Card
from facecctv.models.session import Session
from facecctv.vision.compare import Comparison, comparison_of, crop_of
from tests.tiny_models import a_card

SIZE = 32
SHIPPED = Path(facecctv.__file__).parent / "models/shipped/face-embedder.onnx"


def people(count=6, each=6, seed=0):
    """Every person has a colour and a stripe; light and noise differ from picture to picture."""
    rng = np.random.default_rng(seed)
    pictures, persons = [], []
    for person in range(count):
        colour, row = rng.integers(60, 200, 3), int(rng.integers(4, SIZE - 8))
        for _ in range(each):
            image = np.full((SIZE, SIZE, 3), colour, float)
            image[row : row + 4] = 255 - colour
            image = image * rng.uniform(0.8, 1.2) + rng.normal(0, 6, image.shape)
            pictures.append(np.clip(image, 0, 255).astype(np.uint8))
            persons.append(person)
    names = tuple(f"{n}.png" for n in range(len(persons)))
    return People(np.stack(pictures), np.array(persons), names)


def test_pairs_are_balanced_and_never_of_one_picture():
    persons = np.array([0, 0, 0, 1, 1, 2])
    pairs, same = draw_pairs(persons, 200, np.random.default_rng(0))
    assert same.sum() == 100
    assert (pairs[:, 0] != pairs[:, 1]).all()
    np.testing.assert_array_equal(persons[pairs[:, 0]] == persons[pairs[:, 1]], same)
    assert len(draw_pairs(persons, 0, np.random.default_rng(0))[0]) == 0


def test_batches_of_pairs_and_of_people():
    data = people()
    (a, b), y = PairSource(data, 8, samples=80, seed=0).batch(3, 4)
    again, _ = PairSource(data, 8, samples=80, seed=0).batch(3, 4)
    assert a.shape == b.shape == (8, SIZE, SIZE, 3)
    assert y[:, 0].tolist() == [1, 0] * 4
    np.testing.assert_array_equal(a, again[0])

    source = PersonSource(data, people=3, each=4, samples=120, seed=0)
    assert source.steps == 10
    x, persons = source.batch(0, 0)
    assert x.shape == (12, SIZE, SIZE, 3)
    assert np.unique(persons, return_counts=True)[1].tolist() == [4, 4, 4]
    with pytest.raises(SettingError, match="fewer than a batch"):
        PairSource(data, 64, samples=80, seed=0)


def item(person, path="a.png", **facts):
    return Labelled(Path(path), 10, 10, identity=person, **facts)


def test_people_who_cannot_be_learnt_from():
    with pytest.raises(InputError, match="who it is"):
        known([item(None)])
    with pytest.raises(InputError, match="only 'anna'"):
        known([item("anna"), item("anna")])
    with pytest.raises(InputError, match="one person with two pictures"):
        known([item("anna"), item("ben")])
    assert len(known([item("anna"), item("anna"), item("ben"), item(None)])) == 3


def test_a_person_in_both_splits_is_refused():
    train = [item("anna"), item("anna"), item("ben")]
    with pytest.raises(SettingError, match="1 people are in train and val, anna among them"):
        siamese.load(train, [item("anna"), item("anna"), item("cy")], RECIPES[0], Pictures())


def test_how_faces_are_cut_out():
    box = np.float32([[2, 2, 8, 8]])
    points = np.float32([[[3, 4], [7, 4], [5, 5], [3, 7], [7, 7]]])
    assert choose_crop([item("a")]) == "whole"
    assert choose_crop([item("a", boxes=box)]) == "box"
    assert choose_crop([item("a", boxes=box, landmarks=points)]) == "aligned"
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:30, 20:40] = 255
    cut = cut_box(image, np.float32([20, 10, 40, 30]), 26)
    # A margin of 0.15 on every side: 20 px become 26.
    assert cut.shape == (26, 26, 3)
    assert cut[3:-3, 3:-3].min() == 255
    assert cut[0].max() == 0


def recipe(loss, **changes):
    return siamese.SiameseRecipe(
        **{
            "net": EmbedderNet("MobileNet", SIZE, 16),
            "loss": loss,
            "samples": 64,
            "val_pairs": 60,
            "training": Training(epochs=4, batch=4, learning_rate=1e-3, threads=1),
            "weights": "none",
            "augment": False,
            **changes,
        }
    )


RECIPES = [recipe("pairs"), recipe("contrastive"), recipe("triplet", distance="cosine")]


@pytest.mark.parametrize("settings", RECIPES, ids=lambda r: r.loss)
def test_each_loss_learns_and_its_export_judges_alike(tmp_path, settings):
    data, others = people(), people(4, 6, seed=9)
    history = siamese.train(siamese.Split(data, others, "whole"), tmp_path, settings)
    assert history[-1]["loss"] < history[0]["loss"]
    model = siamese.trained(tmp_path, settings)
    outcome = siamese.judge(model, settings, others)
    card = siamese.embedder_card("mine", settings, model, outcome, "whole", "generated")
    exported = Session(siamese.export_embedder(model, card))
    again = pairs_of(exported, others, settings.val_pairs)
    np.testing.assert_allclose(again.similarity, outcome.similarity, atol=0.02)
    vectors = exported.run(others.pictures.astype(np.float32))[0]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    verdict = compare_pictures(exported, others.pictures[0], others.pictures[0], lambda image: [])
    assert verdict.similarity == pytest.approx(comparison_of(card)(vectors[:1], vectors[:1])[0])
    assert verdict.threshold == pytest.approx(outcome.threshold)


def shipped_recipe(loss="contrastive", **changes):
    training = Training(epochs=1, batch=2, learning_rate=1e-5, frozen_epochs=0, threads=1)
    net = EmbedderNet("shipped", 112, 128)
    return recipe(loss, net=net, weights=str(SHIPPED), samples=4, training=training, **changes)


def test_the_shipped_embedder_comes_back_exactly_and_stays_itself_while_taught(tmp_path):
    faces = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3)).astype(np.float32)
    model = EmbedderNet("shipped").build(str(SHIPPED))
    wanted = Session(SHIPPED.read_bytes()).run(faces.transpose(0, 3, 1, 2) / np.float32(255))[0]
    for training in (False, True):
        found = model(torch.from_numpy(faces), training=training).detach().numpy()
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_shipped_embedder_is_taught_further(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (12, 112, 112, 3)).astype(np.uint8)
    names = tuple(f"{n}.png" for n in range(12))
    data = People(pictures, np.arange(12) // 3, names)
    settings = shipped_recipe(val_pairs=20)
    siamese.train(siamese.Split(data, data, "aligned"), tmp_path, settings)
    model = siamese.trained(tmp_path, settings)
    outcome = siamese.judge(model, settings, data)
    card = siamese.embedder_card("mine", settings, model, outcome, "aligned", "generated")
    assert card.training_data[:-1] == Card.from_model(SHIPPED.read_bytes()).training_data
    exported = Session(siamese.export_embedder(model, card))
    first = Session(SHIPPED.read_bytes())
    moved = exported.run(pictures.astype(np.float32))[0]
    before = first.run(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255)[0]
    assert 1e-4 < np.abs(moved - before).max() < 0.2


def test_an_untaught_pair_classifier_takes_likeness_for_one_person():
    recipe = siamese.SiameseRecipe(net=EmbedderNet("shipped"), loss="pairs", weights=str(SHIPPED))
    model = siamese.build(recipe, recipe.weights)
    small = people(count=4, each=1).pictures
    seen = np.stack([cv2.resize(picture, (112, 112)) for picture in small]).astype(np.float32)
    itself = model.predict([seen, seen], verbose=0)
    other = model.predict([seen, seen[::-1]], verbose=0)
    assert (itself > 0.99).all()  # no difference: nothing speaks against it
    assert (other < itself).all()


def test_a_start_that_does_not_fit(tmp_path):
    with pytest.raises(SettingError, match="takes 112 px and gives 128 numbers, not 64 px"):
        EmbedderNet("shipped", 64).build(str(SHIPPED))
    with pytest.raises(ModelError, match="no face-embedder"):
        EmbedderNet("shipped").build(str(SHIPPED.with_name("face-detector.onnx")))
    with pytest.raises(InputError, match="No such file"):
        EmbedderNet("shipped").build(str(tmp_path / "none.onnx"))
    small = face_embedder.EmbedderNet(blocks=(1, 1, 1)).build()
    with pytest.raises(ModelError, match="layers with weights"):
        load_in_order(small, SHIPPED.read_bytes())


def test_figures_of_pairs():
    similarity = np.linspace(0, 1, 40)
    same = similarity > 0.5
    outcome = pair_outcome(np.zeros((40, 2), int), same, similarity)
    assert outcome.threshold == pytest.approx(0.5, abs=0.02)
    assert outcome.accuracy >= 0.95
    assert outcome.eer == 0.0
    assert outcome.confusion().tolist() == [[20, 0], [0, 20]]


def test_accuracy_of_pairs_that_alternate():
    """As draw_pairs makes them: no fold may hold pairs of one kind alone."""
    same = np.arange(400) % 2 == 0
    noise = np.random.default_rng(0).normal(0, 1, 400)
    useless = pair_outcome(np.zeros((400, 2), int), same, noise)
    assert useless.accuracy == pytest.approx(0.5, abs=0.06)
    some = pair_outcome(np.zeros((400, 2), int), same, noise + same)
    assert some.accuracy == pytest.approx(1 - some.eer, abs=0.05)
    assert np.isnan(pair_outcome(np.zeros((3, 2), int), same[:3] & False, noise[:3]).accuracy)


def test_comparisons_by_hand():
    a, b = np.float32([[1, 0], [1, 0]]), np.float32([[1, 0], [0, 1]])
    assert Comparison("cosine")(a, b).tolist() == [1, 0]
    np.testing.assert_allclose(Comparison("euclidean")(a, b), [1, 1 - np.sqrt(2) / 2])
    weighted = Comparison("weighted", (-1.0, -1.0), 1.0)
    logits = np.array([1.0, 1 - 2 * np.sqrt(2)])
    np.testing.assert_allclose(weighted(a, b), 1 / (1 + np.exp(-logits)), rtol=1e-5)
    card = a_card(task="face-embedder", extra={"comparison": weighted.to_json(), "crop": "box"})
    assert comparison_of(card) == weighted
    assert crop_of(card) == "box"


def test_cards_that_do_not_fit():
    with pytest.raises(ModelError, match="is a face-detector"):
        comparison_of(a_card())
    with pytest.raises(ModelError, match="no known comparison"):
        comparison_of(a_card(task="face-embedder", extra={"comparison": {"kind": "guess"}}))
    with pytest.raises(ModelError, match="no known crop"):
        crop_of(a_card(extra={"crop": 3}))


def test_pictures_without_a_face_cannot_be_compared():
    card = a_card(
        task="face-embedder",
        input={"layout": "NHWC", "value_range": (0, 255), "size": (SIZE, SIZE)},
        extra={"crop": "box"},
        thresholds={"default": {"value": 0.5, "at": ""}},
    )

    class Never:
        def __init__(self):
            self.card = card

        def run(self, pictures):
            raise AssertionError("nothing to run on")

    image = cv2.cvtColor(np.zeros((9, 9), np.uint8), cv2.COLOR_GRAY2RGB)
    with pytest.raises(InputError, match="no face was found in the first picture"):
        compare_pictures(Never(), image, image, lambda image: [])
