"""An estimator of age and gender whose answers anyone can work out."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from facecctv.models.card import ModelInput, ModelOutput, Threshold
from facecctv.vision.attributes import Scale
from tests.tiny_models import a_card

WIDEST = 55


def tiny_scale(**changes: object) -> Scale:
    facts: dict[str, object] = {"knots": (16.0, 64.0), "age": (1.0, 1.0), "gender": (1.0, 1.0)}
    return Scale(**(facts | {"widest": WIDEST} | changes))  # type: ignore[arg-type]


def estimator_card(scale: Scale | None = None, **changes: object):
    facts: dict[str, object] = {
        "name": "face-attributes",
        "task": "face-attributes",
        "step": "geometric",
        "input": ModelInput(size=(112, 112)),
        "outputs": (ModelOutput(name="age", meaning=""), ModelOutput(name="gender", meaning="")),
        "thresholds": {
            "face_px": Threshold(value=12, at="made by hand"),
            "gender": Threshold(value=0.75, at="made by hand"),
        },
        "extra": {"scale": (scale or tiny_scale()).to_json()},
    }
    return a_card(**(facts | changes))


def tiny_estimator(spread: float = 5.0, scale: Scale | None = None, **changes: object) -> bytes:
    """The mean of red (0..1) times 100 is the age, give or take a normal `spread` in years; the
    logit of "female" is 40 times what green lies above one half; blue does not count.
    """
    years = np.arange(101, dtype=np.float32)
    weight = np.zeros((3, 102), np.float32)
    weight[0, :101], weight[1, 101] = 100 * years / spread**2, 40
    bias = np.append(-(years**2) / (2 * spread**2), -20).astype(np.float32)
    constants = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(bias, "bias"),
        numpy_helper.from_array(np.int64([101, 1]), "parts"),
    ]
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["means"]),
        helper.make_node("Flatten", ["means"], ["rows"]),
        helper.make_node("Gemm", ["rows", "weight", "bias"], ["all"]),
        helper.make_node("Split", ["all", "parts"], ["age", "gender"], axis=1),
    ]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 112, 112])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("age", 101), ("gender", 1))
    ]
    graph = helper.make_graph(nodes, "g", [value], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    helper.set_model_props(model, estimator_card(scale, **changes).to_metadata())
    return bytes(model.SerializeToString())
