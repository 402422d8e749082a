"""A detector of a few bytes that anyone can check by hand: every red cell of 8 x 8 is a face."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from facecctv.models.card import Card, ModelInput, ModelOutput, Threshold

LANDMARKS = ((-0.5, -0.5), (0.5, -0.5), (0.0, 0.0), (-0.5, 0.5), (0.5, 0.5))
"""Offsets of the five points from the cell's centre, in strides of 8."""

CARD = Card(
    name="red-detector",
    task="face-detector",
    version="1",
    description="Red cells are faces.",
    input=ModelInput(multiple_of=32),
    outputs=tuple(ModelOutput(name=f"p{stride}", meaning="raw") for stride in (8, 16, 32)),
    step="learned",
    licence="Apache-2.0",
    thresholds={"default": Threshold(value=0.5, at="made by hand")},
    extra={"levels": {"8": 5, "16": 1, "32": 1}},
)


def red_detector(card: Card = CARD) -> bytes:
    """An ONNX file; a face is 16 x 16 pixels of the network around the middle of its red cell."""
    nodes, constants, outputs = [], [], []
    for stride, predictions in ((8, 5), (16, 1), (32, 1)):
        weight = np.zeros((15 * predictions, 3, stride, stride), np.float32)
        bias = np.zeros(15 * predictions, np.float32)
        bias[::15] = -20
        if stride == 8:
            # Logit 10 where the cell is wholly red, -10 where three quarters are, less elsewhere.
            weight[0, 0] = 80 / 64
            weight[0, 1:] = -80 / 64
            bias[0] = -70
            bias[5:15] = np.ravel(LANDMARKS)
        constants += [
            numpy_helper.from_array(weight, f"w{stride}"),
            numpy_helper.from_array(bias, f"b{stride}"),
        ]
        nodes.append(
            helper.make_node(
                "Conv",
                ["image", f"w{stride}", f"b{stride}"],
                [f"p{stride}"],
                strides=[stride, stride],
            )
        )
        outputs.append(
            helper.make_tensor_value_info(
                f"p{stride}", TensorProto.FLOAT, ["n", 15 * predictions, None, None]
            )
        )
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    graph = helper.make_graph(nodes, "red", [image], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    helper.set_model_props(model, card.to_metadata())
    return bytes(model.SerializeToString())


def red_picture(width: int, height: int, *cells: tuple[int, int]) -> np.ndarray:
    """Grey, with cells (column, row) of 8 x 8 pixels in red."""
    image = np.full((height, width, 3), 90, np.uint8)
    for column, row in cells:
        image[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = (255, 0, 0)
    return image


def box_of(column: int, row: int) -> list[float]:
    """The face of a red cell, in pixels of the network."""
    x, y = column * 8 + 4, row * 8 + 4
    return [x - 8, y - 8, x + 8, y + 8]
