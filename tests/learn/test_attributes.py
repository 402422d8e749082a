"""Labels, trials, calibration and report of age and gender."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import skimage.data
from sklearn.metrics import confusion_matrix

from facecctv.errors import InputError, LabelError
from facecctv.learn.attribute_card import attributes_card, group_table, measured, thresholds
from facecctv.learn.attribute_fitting import (
    Gain,
    Prior,
    covered,
    crossed,
    fit_scale,
    gains,
    halves,
    least_size,
    of_bins,
)
from facecctv.learn.attribute_plots import all_plots
from facecctv.learn.attribute_report import answers, confusion, groups, oddity, report, row
from facecctv.learn.attribute_trials import FULL, SIZES, Trial, oddities, small, trials
from facecctv.learn.data.attributes import (
    BINS,
    LabelledFaces,
    balanced,
    bin_centres,
    load_labelled,
    load_labels,
    soft_ages,
    windows,
    years_in_bins,
)
from facecctv.models.session import Session
from facecctv.vision.attributes import AttributeEstimator, scale_of
from tests.learn.test_aligned import write_set
from tests.tiny_estimator import tiny_estimator, tiny_scale

PLAIN = Prior(np.full(9, 1 / 9, np.float32), 0.5)


def labelled(bins, female, races=None, images=None):
    count = len(bins)
    return LabelledFaces(
        tuple(f"{n}.png" for n in range(count)),
        np.zeros((count, 128, 128, 3), np.uint8) if images is None else images,
        np.array(bins, np.int64),
        np.array(female, bool),
        np.array(races or ["a"] * count),
    )


def normal(means, spread):
    """(N, 101) logits of a normal distribution around each mean."""
    years = np.arange(101)
    return np.float32(-0.5 * ((years - np.array(means)[:, None]) / spread) ** 2)


class TestBins:
    def test_years_by_hand(self):
        shares = years_in_bins()
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(shares[0, :4], [1 / 3, 1 / 3, 1 / 3, 0])
        np.testing.assert_allclose(shares[3, 19:31], [0, *[0.1] * 10, 0])
        assert shares[8, 70] / shares[8, 78] == pytest.approx(math.e, rel=1e-5)
        assert shares[8, :70].sum() == 0

    def test_centres_by_hand(self):
        np.testing.assert_allclose(
            bin_centres()[:8], [1, 6, 14.5, 24.5, 34.5, 44.5, 54.5, 64.5], rtol=1e-6
        )
        assert 76 < bin_centres()[8] < 78

    def test_soft_edges_keep_the_sum_and_the_middle(self):
        soft = soft_ages(1.0)
        np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-5)
        assert soft[3, 25] == pytest.approx(0.1, abs=1e-4)
        # Half of the weight beyond the last year is what the blur takes across the edge.
        assert soft[3, 29] > soft[3, 30] > soft[3, 31] > 0
        assert soft[3, 29] + soft[3, 30] == pytest.approx(0.1, abs=1e-4)

    def test_balance_by_hand(self):
        faces = labelled([0, 0, 0, 0, 1], [0, 0, 0, 0, 0])
        np.testing.assert_allclose(balanced(faces, 0.0), [0.2] * 5)
        np.testing.assert_allclose(balanced(faces, 1.0), [0.125] * 4 + [0.5])
        np.testing.assert_allclose(balanced(faces, 0.5), [1 / 6] * 4 + [1 / 3])
        other = labelled([0] * 4, [0, 1, 1, 1], ["a", "a", "b", "b"])
        np.testing.assert_allclose(balanced(other, 1.0), [1 / 3, 1 / 3, 1 / 6, 1 / 6])

    def test_windows_are_squares_of_the_picture(self):
        assert windows([], 3, np.random.default_rng(0)).shape == (0, 128, 128, 3)
        thin = np.full((5, 300, 3), 9, np.uint8)
        found = windows([thin, thin], 3, np.random.default_rng(0))
        assert found.shape == (6, 128, 128, 3)
        assert (found == 9).all()


def face_row(number, low, high, gender, split):
    return {"image": f"{number}.png", "split": split, "age_min": low, "age_max": high,
            "gender": gender, "race": "Black"}  # fmt: skip


class TestLoading:
    def load(self, tmp_path, rows, split="val"):
        images = [np.full((128, 128, 3), number, np.uint8) for number in range(len(rows))]
        folder = write_set(tmp_path / "portraits", "portraits", rows, images)
        return load_labelled(folder, split), load_labels(folder, split)

    def test_faces_and_labels_stand_in_one_order(self, tmp_path):
        rows = [
            face_row(0, 0, 2, "male", "val"),
            face_row(1, 70, 100, "female", "train"),
            face_row(2, 30, 39, "female", "val"),
        ]
        faces, (bins, female) = self.load(tmp_path, rows)
        assert faces.names == ("0.png", "2.png")
        assert faces.images[:, 0, 0, 0].tolist() == [0, 2]
        assert faces.bins.tolist() == bins.tolist() == [0, 4]
        assert faces.female.tolist() == female.tolist() == [False, True]

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            (face_row(0, 5, 9, "male", "val"), "no age bin 5-9"),
            (face_row(0, 0, 2, "other", "val"), "'other'"),
            (face_row(0, 0, 2, "male", "train"), "split 'val'"),
        ],
    )
    def test_other_labels_are_refused(self, tmp_path, row, words):
        with pytest.raises(LabelError, match=words):
            self.load(tmp_path, [row])


class TestTrials:
    def test_small_faces_have_lost_detail_and_repeat(self):
        image = np.ascontiguousarray(skimage.data.astronaut()[20:148, 160:288])
        full, low = small(image, FULL, 3), small(image, 16, 3)
        np.testing.assert_array_equal(full, image[8:-8, 8:-8])
        assert low.shape == (112, 112, 3)
        assert (
            np.abs(np.diff(low.astype(int), axis=1)).mean()
            < 0.5 * np.abs(np.diff(full.astype(int), axis=1)).mean()
        )
        np.testing.assert_array_equal(low, small(image, 16, 3))
        assert (low != small(image, 16, 4)).any()

    def test_every_face_at_every_size(self):
        images = np.zeros((3, 128, 128, 3), np.uint8)
        images[:, ..., 0] = np.array([51, 102, 153])[:, None, None]
        told = []
        network = AttributeEstimator(Session(tiny_estimator()))
        found = trials(network, images, (FULL, 24), lambda *state: told.append(state))
        assert [trial.px for trial in found] == [FULL, 24]
        assert told == [(3, 6), (6, 6)]
        for trial in found:
            assert trial.ages.argmax(axis=1) == pytest.approx([20, 40, 60], abs=1)

    def test_kinds_of_bad_input(self):
        images = np.zeros((3, 128, 128, 3), np.uint8)
        images[:, :64] = (200, 10, 10)
        scene = np.zeros((50, 70, 3), np.uint8)
        made = dict(oddities(labelled([1, 1, 1], [0, 1, 1], images=images), [scene], count=4))
        assert set(made) == {"upside down", "grey", "no face", "noise", "one colour"}
        assert (made["upside down"][:, 64:] == images[:, :64]).all()
        assert (made["grey"][..., 0] == made["grey"][..., 2]).all()
        assert made["one colour"][:, 0, 0, 0].tolist() == [0, 85, 170, 255]


class TestFitting:
    @pytest.mark.parametrize(
        ("mean", "truth", "expected"),
        [
            (29.5, 3, 0.5),  # 25-34 of 20-29: five of ten years
            (29.5, 4, 0.5),
            (24.5, 3, 1.0),
            (60.0, 3, 0.0),
        ],
    )
    def test_coverage_of_a_bin_by_hand(self, mean, truth, expected):
        even = np.zeros((1, 101), np.float32)
        start = int(mean - 4.5)
        even[0, start : start + 10] = 0.1
        assert covered(even, np.array([truth]), 0.999)[0] == pytest.approx(expected, abs=1e-5)

    def test_bins_add_up(self):
        shares = np.full((2, 101), 1 / 101, np.float32)
        np.testing.assert_allclose(
            of_bins(shares)[0] * 101, [3, 7, 10, 10, 10, 10, 10, 10, 31], rtol=1e-4
        )

    def test_priors_by_hand(self):
        prior = Prior.of(np.array([3, 3, 4]), np.array([True, False, False]))
        np.testing.assert_allclose(prior.bins, np.array([1, 1, 1, 5, 3, 1, 1, 1, 1]) / 15)
        assert prior.female == pytest.approx(1.5 / 4)
        only = np.zeros(9, np.float32)
        only[3] = 1
        assert Prior(only, 0.5).widest() == 7  # 21-28, the middle eight years of 20-29

    def test_intervals_hold_what_they_promise(self):
        rng = np.random.default_rng(0)
        truth = rng.uniform(20, 60, 400)
        bins = np.searchsorted([low for low, _ in BINS], truth.astype(int), side="right") - 1
        said = truth + rng.normal(0, 8, 400)
        faces = labelled(bins, rng.random(400) < 0.5)
        # Too sure of itself by far: its spread is 3 years, its error 8.
        trial = Trial(32, normal(said, 3.0), np.zeros(400, np.float32))
        scale = fit_scale([trial], faces, PLAIN)
        held = covered(scale.years(trial.ages, trial.heights), bins, 0.8).mean()
        assert held == pytest.approx(0.8, abs=0.01)
        assert scale.age[0] == pytest.approx((8 / 3) ** 2, rel=0.35)

    def test_a_gender_twice_too_sure(self):
        rng = np.random.default_rng(1)
        logits = rng.normal(0, 2, 4000).astype(np.float32)
        female = rng.random(4000) < 1 / (1 + np.exp(-logits))
        faces = labelled(np.full(4000, 3), female, images=np.zeros((4000, 1, 1, 3), np.uint8))
        trial = Trial(24, np.zeros((4000, 101), np.float32), 2 * logits)
        assert fit_scale([trial], faces, PLAIN).gender[0] == pytest.approx(2, rel=0.1)

    def test_too_few_faces(self):
        with pytest.raises(InputError, match="20 faces"):
            fit_scale([], labelled([1] * 19, [0] * 19), PLAIN)

    def test_halves_share_every_group(self):
        rng = np.random.default_rng(2)
        bins, female = rng.integers(0, 2, 80), rng.random(80) < 0.5
        faces = labelled(bins, female, [str(n) for n in rng.integers(0, 2, 80)])
        half = halves(faces)
        for group in np.unique(np.column_stack([bins, female, faces.races]), axis=0):
            inside = np.array([
                [str(b), str(f), r] == group.tolist()
                for b, f, r in zip(bins, female, faces.races, strict=True)
            ])  # fmt: skip
            assert abs(int((half[inside] == 0).sum()) - int((half[inside] == 1).sum())) <= 1

    def test_parts_are_judged_by_what_the_others_taught(self):
        bins = [3, 3, 4, 4] * 10
        faces = labelled(bins, [0, 1] * 20)
        trial = Trial(48, normal(np.full(40, 30.0), 8.0), np.zeros(40, np.float32))
        parts = crossed([trial], faces, PLAIN)
        assert sorted(np.concatenate([rows for rows, _ in parts]).tolist()) == list(range(40))
        for rows, scale in parts:
            others = np.setdiff1d(np.arange(40), rows)
            assert scale == fit_scale([trial], faces, PLAIN, others)

    def test_saying_the_prior_gains_nothing_and_knowing_gains_much(self):
        bins, female = np.array([3, 4] * 20), np.array([True, False] * 20)
        faces = labelled(bins, female)
        blind = Trial(8, np.zeros((40, 101), np.float32), np.zeros(40, np.float32))
        sharp = Trial(
            64,
            normal(bin_centres()[bins], 2.0),
            np.where(female, 5, -5).astype(np.float32),
        )
        parts = [(np.arange(40), tiny_scale())]
        found = gains([sharp, blind], faces, PLAIN, parts)
        # A year of 101 each: bins of ten years, against one in nine.
        assert found[1].age == pytest.approx(math.log(10 / 101) - math.log(1 / 9), abs=1e-4)
        assert found[1].gender == pytest.approx(0, abs=1e-6)
        assert found[0].age > 2
        assert found[0].gender == pytest.approx(math.log(2), abs=0.01)
        assert (found[0].is_one, found[1].is_one) == (True, False)

    @pytest.mark.parametrize(
        ("better", "expected"),
        [
            ({112, 64, 24, 16}, 16),
            ({112, 64, 16}, 64),  # 16 by luck: not from there on
            ({112}, 112),
        ],
    )
    def test_the_least_size(self, better, expected):
        found = [Gain(px, float(px in better), 0.1, 1.0, 0.1) for px in (16, 24, 64, 112)]
        assert least_size(found) == expected

    def test_a_network_that_knows_nothing_is_not_released(self):
        with pytest.raises(InputError, match="no better"):
            least_size([Gain(112, 1.0, 0.6, 1.0, 0.1)])


# Three faces: 24.5 said of 20-29; 33.1 of 20-29; 70 of 40-49. Genders right, wrong, unsure.
FACES = labelled([3, 3, 5], [True, True, False], ["a", "a", "b"])
TRIAL = Trial(FULL, normal([24.5, 33.1, 70.0], 2.0), np.float32([3, -3, 0.2]))
PARTS = [(np.arange(3), tiny_scale())]


def said(**changes):
    return answers(TRIAL, FACES, PARTS, **({"least": 16, "sure": 0.75} | changes))


class TestReport:
    def test_figures_by_hand(self):
        everybody = row(said(), FACES, np.ones(3, bool), "all")
        assert everybody.mae == pytest.approx((0 + 8.6 + 25.5) / 3, abs=0.01)
        assert everybody.within == pytest.approx(1 / 3, abs=1e-4)
        assert everybody.exact == pytest.approx(1 / 3, abs=1e-4)
        assert everybody.one_off == pytest.approx(2 / 3, abs=1e-4)
        assert everybody.gender == pytest.approx(1 / 3, abs=1e-4)  # 0.2 leans to female
        # 1.28 spreads of 2 years: 22-27 holds six of ten years; 31-36 and 67-73 none.
        assert everybody.coverage == pytest.approx(0.6 / 3, abs=1e-4)
        assert everybody.width == pytest.approx((6 + 6 + 7) / 3, abs=0.4)
        assert everybody.answered == 1
        assert everybody.named == pytest.approx(2 / 3, abs=1e-4)
        assert everybody.named_right == 0.5

    def test_nobody(self):
        nobody = row(said(), FACES, np.zeros(3, bool), "none")
        assert nobody.faces == 0
        assert {nobody.mae, nobody.gender, nobody.coverage, nobody.named_right} == {None}

    def test_what_is_too_small_is_not_answered(self):
        held = row(said(least=113), FACES, np.ones(3, bool), "all")
        assert (held.answered, held.named, held.named_right) == (0, 0, None)
        assert held.exact == pytest.approx(1 / 3, abs=1e-4)

    def test_confusion_is_scikit_learns(self):
        rng = np.random.default_rng(3)
        faces = labelled(rng.integers(0, 9, 60), rng.random(60) < 0.5)
        trial = Trial(24, normal(rng.uniform(0, 90, 60), 4), np.zeros(60, np.float32))
        found = answers(trial, faces, [(np.arange(60), tiny_scale())], least=1, sure=0.7)
        expected = confusion_matrix(faces.bins, found.bins, labels=range(9))
        assert np.array_equal(confusion(found, faces), expected)

    def test_groups_cover_everybody_once(self):
        kinds = {}
        for kind, _, inside in groups(FACES):
            kinds[kind] = kinds.get(kind, 0) + inside
        assert set(kinds) == {"all", "age", "gender", "race", "race x gender",
                              "age x gender x race"}  # fmt: skip
        for counted in kinds.values():
            assert counted.tolist() == [1, 1, 1]

    def test_all_of_it_as_json_and_pictures(self):
        odd = oddity("wall", Trial(FULL, np.zeros((2, 101), np.float32), np.float32([0, 9])),
                     tiny_scale(), 0.75)  # fmt: skip
        assert (odd.insufficient, odd.named) == (0.5, 0.5)
        told = report([said()], FACES, widest=55, oddities=[odd], model="tiny 1", data="three")
        facts = json.loads(told.to_json())
        assert facts["rows"]["all"][0]["faces"] == 3
        assert facts["confusion"]["112"][3][3] == 1
        assert [wrong["image"] for wrong in facts["worst"]] == ["2.png", "1.png"]
        assert facts["worst"][0]["off"] == pytest.approx(21, abs=0.1)
        assert told.find("race x gender", "a, female", FULL).faces == 2
        with pytest.raises(KeyError):
            told.overall(24)
        plots = all_plots(told)
        assert set(plots) == {"confusion-112", "gender-calibration", "sizes"}
        for files in plots.values():
            assert files["png"].startswith(b"\x89PNG")
            assert b"<svg" in files["svg"]

    def test_a_card_tells_it(self):
        both = [said(), answers(Trial(24, TRIAL.ages, TRIAL.genders), FACES, PARTS,
                                least=16, sure=0.75)]  # fmt: skip
        told = report(both, FACES, widest=55)
        gained = [Gain(px, 1.0, 0.1, 0.5, 0.1) for px in (24, 112)]
        scale = tiny_scale()
        card = attributes_card(
            mirror=False,
            metrics=measured(told),
            thresholds=thresholds(told, gained, 24),
            extra={"scale": scale.to_json(), "groups": group_table(told)},
        )
        assert scale_of(card) == scale
        assert card.threshold("face_px") == 24
        assert "24 px +1.00 and +0.50" in card.thresholds["face_px"].at
        assert "112 px 50.0% (66.7% named)" in card.thresholds["gender"].at
        worst = [m for m in card.metrics if m.name == "gender accuracy, worst race x gender"]
        assert [(m.value, m.conditions) for m in worst] == [
            (0.0, "portraits val, 1 faces of 112 px: b, male"),
            (0.0, "portraits val, 1 faces of 24 px: b, male"),
        ]
        table = card.extra["groups"]
        assert all(len(line) == len(table["columns"]) for line in table["rows"])
        assert {line[0] for line in table["rows"]} == {112, 24}

    def test_sizes_are_those_that_were_asked_for(self):
        assert set(SIZES) == {16, 24, 32, 48, 64, 112}
