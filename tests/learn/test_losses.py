import numpy as np
import pytest
import torch

from facecctv.learn.data.detection import Sample
from facecctv.learn.losses import DetectionLoss, decode, giou, iou
from facecctv.learn.targets import make_targets
from facecctv.vision.anchors import FACE_LEVELS, decode_boxes, grid

SIZE = 64
GRID = grid(SIZE, SIZE, FACE_LEVELS)
POINTS, STRIDES = torch.tensor(GRID.points), torch.tensor(GRID.strides)
COUNT = len(POINTS)
LOSS = DetectionLoss()

PAIRS = [
    # a, b, IoU, generalised IoU
    ("the same", (0, 0, 2, 2), (0, 0, 2, 2), 1.0, 1.0),
    ("half", (0, 0, 2, 2), (0, 0, 2, 1), 0.5, 0.5),
    ("a quarter each", (0, 0, 2, 2), (1, 1, 3, 3), 1 / 7, 1 / 7 - 2 / 9),
    ("touching", (0, 0, 1, 1), (1, 0, 2, 1), 0.0, 0.0),
    ("apart", (0, 0, 1, 1), (3, 0, 4, 1), 0.0, -0.5),
    ("inside", (0, 0, 4, 4), (1, 1, 3, 3), 0.25, 0.25),
]


@pytest.mark.parametrize(("a", "b", "overlap", "general"), [p[1:] for p in PAIRS])
def test_overlaps_by_hand(a, b, overlap, general):
    a, b = (torch.tensor([box], dtype=torch.float32) for box in (a, b))
    assert iou(a, b).item() == pytest.approx(overlap, abs=1e-6)
    assert giou(a, b).item() == pytest.approx(general, abs=1e-6)
    assert giou(b, a).item() == pytest.approx(general, abs=1e-6)


def test_decode_is_the_rule_of_the_product():
    raw = np.random.default_rng(0).normal(0, 3, (COUNT, 15)).astype(np.float32)
    mine = decode(torch.tensor(raw), POINTS, STRIDES).numpy()
    np.testing.assert_allclose(
        mine, decode_boxes(raw[:, 1:5], GRID.points, GRID.strides), rtol=1e-5, atol=1e-4
    )


def batch(pictures):
    """Lists of (boxes, landmarks, ignore) -> the batch as the recipe makes it."""
    made = []
    for boxes, landmarks, ignore in pictures:
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        marks = np.array(landmarks, np.float32).reshape(-1, 5, 2)
        flags = np.array(ignore, bool).reshape(-1)
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        made.append(make_targets(Sample("s", image, boxes, marks, flags), SIZE, FACE_LEVELS))
    shifted = [
        np.where(t.candidates >= 0, t.candidates + i * COUNT, -1) for i, t in enumerate(made)
    ]
    return {
        "boxes": torch.tensor(np.concatenate([t.boxes for t in made])),
        "landmarks": torch.tensor(np.concatenate([t.landmarks for t in made])),
        "candidates": torch.tensor(np.concatenate(shifted)),
        "silent": torch.tensor(np.stack([t.silent for t in made])),
    }


BOX = (20.0, 12.0, 44.0, 44.0)
MARKS = ((26, 24), (38, 24), (32, 30), (27, 37), (37, 37))


def silence(count=1):
    """A network that is sure of nothing being there."""
    raw = torch.zeros(count, COUNT, 15)
    raw[..., 0] = -20
    return raw


def exact(box=BOX, marks=MARKS):
    """(15,) numbers for each point that say exactly this face."""
    box, marks = torch.tensor(box), torch.tensor(marks, dtype=torch.float32)
    raw = torch.empty(COUNT, 15)
    raw[:, 0] = -20
    raw[:, 1:3] = ((box[:2] + box[2:]) / 2 - POINTS) / STRIDES[:, None]
    raw[:, 3:5] = torch.log((box[2:] - box[:2]) / 2 / STRIDES[:, None])
    raw[:, 5:] = ((marks - POINTS[:, None]) / STRIDES[:, None, None]).flatten(1)
    return raw


def candidates_of(one):
    return one["candidates"][one["candidates"] >= 0]


def test_a_network_that_is_right_has_no_loss():
    one = batch([([BOX], [MARKS], [False])])
    raw = exact()
    raw[candidates_of(one)[:1], 0] = 20.0
    single = DetectionLoss(positives=1)
    loss, parts = single(raw[None], POINTS, STRIDES, one)
    assert loss.item() < 1e-3
    assert set(parts) == {"score", "box", "landmarks"}
    assert all(0 <= value < 1e-3 for value in parts.values())


@pytest.mark.parametrize(
    ("column", "part"), [(0, "score"), (1, "box"), (3, "box"), (5, "landmarks")]
)
def test_what_is_wrong_costs_in_its_own_part(column, part):
    one = batch([([BOX], [MARKS], [False])])
    single = DetectionLoss(positives=1)
    raw = exact()
    raw[candidates_of(one)[0], 0] = 20.0
    _, before = single(raw[None], POINTS, STRIDES, one)
    raw[:, column] -= 40.0 if column == 0 else 0.4
    _, after = single(raw[None], POINTS, STRIDES, one)
    assert after[part] > before[part] + 0.02


def test_the_best_overlap_answers_for_the_box():
    one = batch([([BOX], [MARKS], [False])])
    raw = silence()[0]
    winner = int(candidates_of(one)[3])
    raw[winner] = exact()[winner]
    group, index, goal = DetectionLoss(positives=1)._assign(
        raw, POINTS, STRIDES, one["boxes"], one["candidates"]
    )
    assert group.tolist() == [0]
    assert index.tolist() == [winner]
    assert goal.item() == pytest.approx(1.0, abs=1e-4)


def test_at_the_start_the_nearest_points_answer():
    one = batch([([BOX], [MARKS], [False])])
    _, index, goal = LOSS._assign(silence()[0], POINTS, STRIDES, one["boxes"], one["candidates"])
    assert 1 <= len(index) <= LOSS.positives
    assert set(index.tolist()) <= set(candidates_of(one).tolist())
    assert (goal >= 0.05).all()


def test_one_prediction_answers_for_one_box_only():
    other = (22.0, 14.0, 46.0, 46.0)
    one = batch([([BOX, other], [MARKS, MARKS], [False, False])])
    _, index, _ = LOSS._assign(exact(), POINTS, STRIDES, one["boxes"], one["candidates"])
    assert len(set(index.tolist())) == len(index)


def test_boxes_belong_to_their_own_picture():
    pictures = batch([([], [], []), ([BOX], [MARKS], [False])])
    raw = torch.cat([silence()[0], exact()])
    _, index, _ = LOSS._assign(raw, POINTS, STRIDES, pictures["boxes"], pictures["candidates"])
    assert (index >= COUNT).all()


def test_no_boxes_at_all_still_teaches_silence():
    one = batch([([], [], []), ([], [], [])])
    raw = torch.zeros(2, COUNT, 15, requires_grad=True)
    loss, parts = LOSS(raw, POINTS, STRIDES, one)
    loss.backward()
    assert torch.isfinite(raw.grad).all()
    assert (raw.grad[..., 0] > 0).all()
    assert parts["box"] == parts["landmarks"] == 0


def test_ignored_faces_cost_nothing_whether_found_or_not():
    one = batch([([BOX], [MARKS], [True])])
    inside = one["silent"][0]
    losses = []
    for logit in (-20.0, 20.0):
        raw = exact()
        raw[inside, 0] = logit
        losses.append(LOSS(raw[None], POINTS, STRIDES, one)[0].item())
    assert inside.any()
    assert losses == pytest.approx([0.0, 0.0], abs=1e-4)
    outside = exact()
    outside[~inside, 0] = 20.0
    assert LOSS(outside[None], POINTS, STRIDES, one)[0].item() > 1


def test_unknown_landmarks_give_no_landmark_loss_and_finite_gradients():
    one = batch([([BOX], [np.full((5, 2), np.nan)], [False])])
    raw = torch.zeros(1, COUNT, 15, requires_grad=True)
    loss, parts = LOSS(raw, POINTS, STRIDES, one)
    loss.backward()
    assert parts["landmarks"] == 0
    assert torch.isfinite(raw.grad).all()
    assert (raw.grad[..., 5:] == 0).all()


@pytest.mark.parametrize("spread", [0.1, 10.0, 300.0])
def test_gradients_are_finite_for_any_output(spread):
    one = batch([([BOX, (0, 0, 3, 3), (60, 60, 64, 64)], [MARKS] * 3, [False] * 3)])
    generator = torch.Generator().manual_seed(0)
    raw = (spread * torch.randn(1, COUNT, 15, generator=generator)).requires_grad_()
    loss, _ = LOSS(raw, POINTS, STRIDES, one)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(raw.grad).all()


def test_networks_without_landmarks_learn_boxes():
    one = batch([([BOX], [MARKS], [False])])
    _, parts = LOSS(exact()[None, :, :5], POINTS, STRIDES, one)
    assert parts["landmarks"] == 0
    assert parts["box"] < 1e-3
