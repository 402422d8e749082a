"""Cards and ONNX files of a few bytes, made for tests."""

from __future__ import annotations

from onnx import TensorProto, helper

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
