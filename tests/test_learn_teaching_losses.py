import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from facecctv.errors import SettingError
from facecctv.learn.teaching_losses import (
    ContrastiveLoss,
    LocalisationLoss,
    TripletLoss,
    distance_table,
    semi_hard_negatives,
)

TRUE = [[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 0.0, 0.0]]
SAID = [[0.2, 0.2, 0.5, 0.8], [0.3, 0.3, 0.9, 0.9]]


def value(loss, true, said):
    return float(loss(torch.tensor(true), torch.tensor(said)))


def test_localisation_without_any_face_costs_nothing():
    for kind in ("squared", "absolute", "giou"):
        assert value(LocalisationLoss(kind), TRUE[1:], SAID[1:]) == 0.0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # corners: 0.1 0 0 0.2; sizes: 0.4 - 0.3 = 0.1, 0.4 - 0.6 = -0.2
        ("squared", 0.01 + 0.04 + 0.01 + 0.04),
        ("absolute", 0.1 + 0.2 + 0.1 + 0.2),
        # shared 0.3 x 0.4 = 0.12, union 0.16 + 0.18 - 0.12 = 0.22, hull 0.4 x 0.6 = 0.24
        ("giou", 1 - (0.12 / 0.22 - (0.24 - 0.22) / 0.24)),
    ],
)
def test_localisation_counts_the_pictures_with_a_face_only(kind, expected):
    assert value(LocalisationLoss(kind), TRUE, SAID) == pytest.approx(expected, abs=1e-6)


def test_localisation_of_a_perfect_box_is_zero_and_has_a_slope_elsewhere():
    assert value(LocalisationLoss(), TRUE, TRUE) == 0.0
    said = torch.tensor(SAID, requires_grad=True)
    LocalisationLoss()(torch.tensor(TRUE), said).backward()
    assert said.grad[1].abs().sum() == 0
    assert said.grad[0, 0] > 0  # too far right: falls when x1 falls


def test_unknown_kinds_are_named():
    with pytest.raises(SettingError, match="squared, absolute or giou"):
        LocalisationLoss("l3")
    with pytest.raises(SettingError, match="semi-hard, hard or all"):
        TripletLoss(mining="soft")


def test_contrastive():
    # same at 0.3: 0.09; different at 0.4 with margin 1: 0.36; different beyond the margin: 0
    true, said = [[1.0], [0.0], [0.0]], [[0.3], [0.4], [1.2]]
    assert value(ContrastiveLoss(1.0), true, said) == pytest.approx((0.09 + 0.36) / 3)


# Four unit vectors at angles; cosine distance is 1 - cos of the difference.
ANGLES = np.radians([0, 20, 30, 90])
VECTORS = torch.tensor(np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1), dtype=torch.float32)
PERSONS = torch.tensor([[1.0], [1.0], [2.0], [2.0]])


def apart(a, b):
    return 1 - np.cos(np.radians(a - b))


def test_distance_tables():
    table = distance_table(VECTORS, "cosine").numpy()
    assert table[0, 3] == pytest.approx(1.0, abs=1e-6)
    assert table[0, 1] == pytest.approx(apart(0, 20), abs=1e-6)
    euclidean = distance_table(VECTORS, "euclidean").numpy()
    assert euclidean[0, 3] == pytest.approx(np.sqrt(2), abs=1e-6)


def test_semi_hard_negatives_are_the_nearest_beyond_the_positive():
    table = distance_table(VECTORS, "cosine")
    negative = PERSONS != PERSONS.T
    chosen = semi_hard_negatives(table, negative)
    # Anchor 0 (0 deg), positive 1 (20 deg): 2 at 30 deg lies beyond and is nearer than 3.
    assert chosen[0, 1] == 2
    # Anchor 1 (20), positive 0 (20 away): 2 is 10 away, so not beyond; 3 is 70 away.
    assert chosen[1, 0] == 3
    # Anchor 3 (90), positive 2 (60 away): both negatives are beyond; 1 (70 away) is nearer.
    assert chosen[3, 2] == 1
    # Anchor 2 (30), positive 3 (60 away): no negative is beyond; 0 (30 away) is the farthest.
    assert chosen[2, 3] == 0


def test_triplet_losses_by_hand():
    margin = 0.3
    semi = [
        apart(0, 20) - apart(0, 30) + margin,
        apart(20, 0) - apart(20, 90) + margin,
        apart(30, 90) - apart(30, 0) + margin,
        apart(90, 30) - apart(90, 20) + margin,
    ]
    expected = sum(max(0.0, c) for c in semi) / 4
    loss = TripletLoss(margin, "semi-hard", "cosine")
    assert float(loss(PERSONS, VECTORS)) == pytest.approx(expected, abs=1e-6)

    hard = [
        apart(0, 20) - apart(0, 30) + margin,
        apart(20, 0) - apart(20, 30) + margin,
        apart(30, 90) - apart(30, 20) + margin,
        apart(90, 30) - apart(90, 20) + margin,
    ]
    expected = sum(max(0.0, c) for c in hard) / 4
    loss = TripletLoss(margin, "hard", "cosine")
    assert float(loss(PERSONS, VECTORS)) == pytest.approx(expected, abs=1e-6)

    every = []
    degrees, persons = [0, 20, 30, 90], [1, 1, 2, 2]
    for a in range(4):
        for p in range(4):
            for n in range(4):
                if a != p and persons[a] == persons[p] and persons[a] != persons[n]:
                    near, far = apart(degrees[a], degrees[p]), apart(degrees[a], degrees[n])
                    every.append(max(0.0, near - far + margin))
    expected = sum(every) / sum(c > 0 for c in every)
    loss = TripletLoss(margin, "all", "cosine")
    assert float(loss(PERSONS, VECTORS)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("mining", ["semi-hard", "hard", "all"])
def test_a_batch_without_any_triplet_costs_nothing_and_breaks_nothing(mining):
    vectors = VECTORS.clone().requires_grad_()
    loss = TripletLoss(mining=mining)(torch.tensor([[1.0], [1.0], [1.0], [1.0]]), vectors)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(vectors.grad).all()
