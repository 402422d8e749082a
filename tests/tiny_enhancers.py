"""Enhancers, colourisers and recognisers of a few bytes whose results anyone can work out."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from facecctv.models.card import Card, ModelInput, ModelOutput, Threshold
from tests.tiny_models import a_card

UNIT = 110.0
SIDE = 64


def _model(nodes, constants, shape, out_shape, card: Card) -> bytes:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, out_shape)
    graph = helper.make_graph(nodes, "g", [value], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    helper.set_model_props(model, card.to_metadata())
    return bytes(model.SerializeToString())


def enhancer_card(scale: int = 2, reach: int = 0, **changes: object) -> Card:
    facts: dict[str, object] = {
        "name": f"enhancer-x{scale}",
        "task": "enhancer",
        "input": ModelInput(multiple_of=4),
        "outputs": (ModelOutput(name="y", meaning="RGB 0..1"),),
        "extra": {"scale": scale, "reach": reach},
    }
    return a_card(**(facts | changes))


def nearest_enhancer(scale: int = 2, **changes: object) -> bytes:
    """Every pixel becomes scale x scale equal ones."""
    sizes = numpy_helper.from_array(np.array([1, 1, scale, scale], np.float32), "sizes")
    node = helper.make_node(
        "Resize",
        ["x", "", "sizes"],
        ["y"],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    shape = ["n", 3, None, None]
    return _model([node], [sizes], shape, shape, enhancer_card(scale, **changes))


def blur_enhancer(scale: int = 2, reach: int = 6, stated: int | None = None) -> bytes:
    """The mean of 2 * reach + 1 pixels a side (zeros outside) instead of each, then enlarged."""
    side = 2 * reach + 1
    weight = np.zeros((3, 3, side, side), np.float32)
    for channel in range(3):
        weight[channel, channel] = 1 / side**2
    sizes = np.array([1, 1, scale, scale], np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["blurred"], pads=[reach] * 4),
        helper.make_node(
            "Resize",
            ["blurred", "", "sizes"],
            ["y"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
    ]
    constants = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(sizes, "sizes")]
    shape = ["n", 3, None, None]
    card = enhancer_card(scale, reach if stated is None else stated)
    return _model(nodes, constants, shape, shape, card)


def constant_colouriser(a: float = 20.0, b: float = 10.0, **changes: object) -> bytes:
    """The same a* and b* everywhere."""
    weight = np.zeros((2, 1, 1, 1), np.float32)
    bias = np.array([a / UNIT, b / UNIT], np.float32)
    constants = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")]
    node = helper.make_node("Conv", ["x", "weight", "bias"], ["y"])
    facts: dict[str, object] = {
        "name": "colouriser",
        "task": "colouriser",
        "step": "generative",
        "input": ModelInput(colour="L", mean=(0.0,), std=(1.0,), multiple_of=16),
        "outputs": (ModelOutput(name="y", meaning="a* and b*"),),
        "extra": {"side": SIDE, "chroma_unit": UNIT},
    }
    card = a_card(**(facts | changes))
    return _model([node], constants, ["n", 1, None, None], ["n", 2, None, None], card)


def mean_embedder(
    limit: float = 0.9, least: float = 24, side: int = 112, **changes: object
) -> bytes:
    """The mean of each of 4 x 4 cells of the red channel about middle grey: unit length.

    Pictures whose coarse light and dark agree are alike; an inverted one is the opposite.
    """
    constants = [
        numpy_helper.from_array(np.array([1, 0, 0], np.float32).reshape(1, 3, 1, 1), "red"),
        numpy_helper.from_array(np.array([0.5], np.float32), "half"),
        numpy_helper.from_array(np.array([-1, 16], np.int64), "flat"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "red"], ["channel"]),
        helper.make_node(
            "AveragePool",
            ["channel"],
            ["cells"],
            kernel_shape=[side // 4] * 2,
            strides=[side // 4] * 2,
        ),
        helper.make_node("Sub", ["cells", "half"], ["about"]),
        helper.make_node("Reshape", ["about", "flat"], ["rows"]),
        helper.make_node("LpNormalization", ["rows"], ["y"], axis=1, p=2),
    ]
    facts: dict[str, object] = {
        "name": "face-embedder",
        "task": "face-embedder",
        "step": "geometric",
        "input": ModelInput(size=(side, side)),
        "outputs": (ModelOutput(name="y", meaning="embedding"),),
        "thresholds": {
            "identity-drift": Threshold(value=limit, at="1 % of faces, made by hand"),
        },
        "extra": {"least_face_px": least},
    }
    card = a_card(**(facts | changes))
    return _model(nodes, constants, ["n", 3, side, side], ["n", 16], card)
