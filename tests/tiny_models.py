"""Cards and ONNX files of a few bytes, made for tests."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from facecctv.models.card import Card, ModelInput, ModelOutput


def a_card(**changes: object) -> Card:
    facts: dict[str, object] = {
        "name": "tiny",
        "task": "face-detector",
        "version": "1.0",
        "description": "",
        "input": ModelInput(),
        "outputs": (ModelOutput(name="map", meaning="(N, 1, H, W) score logits"),),
        "step": "learned",
        "licence": "Apache-2.0",
    }
    return Card.model_validate(facts | changes)


def a_model(metadata: dict[str, str]) -> bytes:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [value], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(model, metadata)
    return bytes(model.SerializeToString())


def one_face_model(box: tuple[float, float, float, float]) -> bytes:
    """A single-face detector that sees its one face at `box`, shares of any picture's square."""
    card = a_card(
        name="one-face",
        task="single-face-detector",
        input=ModelInput(layout="NHWC", value_range=(0.0, 255.0), size=(32, 32)),
        outputs=(ModelOutput(name="face", meaning="(N, 1)"), ModelOutput(name="box", meaning="")),
        thresholds={"default": {"value": 0.5, "at": "made by hand"}},
    )
    nothing = numpy_helper.from_array(np.zeros((32 * 32 * 3, 5), np.float32), "nothing")
    said = numpy_helper.from_array(np.float32([0.9, *box]), "said")
    parts = numpy_helper.from_array(np.int64([1, 4]), "parts")
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "nothing", "said"], ["all"]),
        helper.make_node("Split", ["all", "parts"], ["face", "box"], axis=1),
    ]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 32, 32, 3])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("face", 1), ("box", 4))
    ]
    graph = helper.make_graph(nodes, "g", [value], outputs, [nothing, said, parts])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    helper.set_model_props(model, card.to_metadata())
    return bytes(model.SerializeToString())
