import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from facecctv.errors import ModelError
from facecctv.learn.export import HALF_FROM, check_parity, export, with_card
from facecctv.learn.nets.blocks import ConvNorm
from facecctv.learn.nets.detector import DetectorNet
from facecctv.learn.recipes.detector import HALF_WEIGHTS_TOLERANCE, export_detector, face_card
from facecctv.models.card import Card, ModelInput, ModelOutput, Threshold
from facecctv.models.session import Session
from facecctv.vision.anchors import FACE_LEVELS

SMALL = DetectorNet(stem=8, quarter=8, widths=(16, 16, 16), blocks=(1, 1, 1), neck=16)
CARD = Card(
    name="toy",
    task="test",
    version="7",
    description="Für den Test.",
    input=ModelInput(),
    outputs=(ModelOutput(name="y", meaning="a map"),),
    step="learned",
    licence="Apache-2.0",
)


def toy():
    keras.utils.set_random_seed(0)
    x = keras.Input((3, None, None))
    model = keras.Model(x, ConvNorm(4)(ConvNorm(24, stride=2)(x)))
    with torch.no_grad():  # as after training: statistics that are not those of the start
        for layer in model.layers[1:]:
            layer.mean.value.uniform_(-0.5, 0.5)
            layer.variance.value.uniform_(0.5, 2.0)
            layer.scale.value.uniform_(0.5, 1.5)
            layer.shift.value.uniform_(-0.5, 0.5)
    return model


def exported(model, **options):
    free = {0: "batch", 2: "height", 3: "width"}
    return export(
        model,
        torch.rand(1, 3, 16, 16),
        card=CARD,
        inputs=["x"],
        outputs=["y"],
        dynamic={"x": free, "y": free},
        **options,
    )


def examples(*shapes):
    rng = np.random.default_rng(0)
    return [[rng.random(shape, dtype=np.float32)] for shape in shapes]


SHAPES = ((1, 3, 16, 16), (3, 3, 8, 40), (2, 3, 33, 17))


def test_the_file_computes_what_the_network_does_at_any_size():
    model = toy()
    assert check_parity(model, exported(model, half=False), examples(*SHAPES), 1e-5) < 1e-5


def test_half_precision_is_storage_only():
    model = toy()
    data = exported(model)
    graph = onnx.load_model_from_string(data).graph
    sizes = {t.name: int(np.prod(t.dims)) for t in graph.initializer}
    halves = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    assert halves == {name for name, size in sizes.items() if size >= HALF_FROM}
    assert halves
    worst = check_parity(model, data, examples(*SHAPES), 5e-3)
    assert 0 < worst < 5e-3


def test_normalisation_is_folded_away():
    kinds = [n.op_type for n in onnx.load_model_from_string(exported(toy())).graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Conv") == 2


def test_a_file_that_computes_something_else_is_refused():
    model = toy()
    data = exported(model)
    with torch.no_grad():
        model.layers[1].weight.value.mul_(1.5)
    with pytest.raises(ModelError, match="differs"):
        check_parity(model, data, examples(SHAPES[0]), 5e-3)


def test_the_card_comes_back_and_can_be_replaced():
    data = exported(toy())
    assert Card.from_model(data) == CARD
    later = CARD.model_copy(update={"thresholds": {"default": Threshold(value=0.4, at="val")}})
    changed = with_card(data, later)
    assert Card.from_model(changed) == later
    assert len(onnx.load_model_from_string(changed).metadata_props) == 3
    a, b = (Session(d, threads=1).run(*examples(SHAPES[0])[0])[0] for d in (data, changed))
    np.testing.assert_array_equal(a, b)


def test_exporting_leaves_the_weights_alone():
    model = toy()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    exported(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_weights_have_the_same_names_however_many_networks_were_built_before():
    first, second = SMALL.build(), SMALL.build()
    assert list(first.state_dict()) == list(second.state_dict())
    second.load_state_dict(first.state_dict())


def test_a_checkpoint_becomes_the_detector_file(tmp_path):
    state = SMALL.build().state_dict()
    torch.save({"average": state}, tmp_path / "checkpoint.pt")
    card = face_card(thresholds={"default": Threshold(value=0.5, at="nothing measured")})
    data = export_detector(tmp_path, card, SMALL)
    session = Session(data, threads=1)
    assert session.card == card
    outputs = session.run(np.zeros((2, 3, 96, 64), np.float32))
    assert [o.shape for o in outputs] == [
        (2, 15 * count, 96 // stride, 64 // stride) for stride, count in FACE_LEVELS.items()
    ]


def test_the_shipped_size_is_under_four_megabytes():
    model = DetectorNet().build()
    names = [f"stride{stride}" for stride in FACE_LEVELS]
    free = {0: "batch", 2: "height", 3: "width"}
    data = export(
        model,
        torch.rand(1, 3, 64, 64),
        card=face_card(),
        inputs=["picture"],
        outputs=names,
        dynamic=dict.fromkeys(["picture", *names], free),
    )
    assert len(data) <= 4 * 2**20
    assert check_parity(model, data, examples((1, 3, 64, 96)), HALF_WEIGHTS_TOLERANCE) > 0


def test_the_file_needs_no_operators_beyond_the_standard():
    model = onnx.load_model_from_string(exported(toy()))
    assert {entry.domain for entry in model.opset_import} <= {"", "ai.onnx"}
    onnxruntime.InferenceSession(exported(toy()), providers=["CPUExecutionProvider"])
