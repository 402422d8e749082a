"""Detectors of a few bytes that anyone can check by hand: every red cell of 8 x 8 is a face, every
green one the middle of a body.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    # Its faces are of one size, in pixels of the network.
    extra={"levels": {"8": 5, "16": 1, "32": 1}, "closer": 1},
)

BODY_WIDTH, BODY_HEIGHT = 32, 96
BODY_CARD = CARD.model_copy(
    update={
        "name": "body-detector",
        "task": "body-detector",
        "description": "Green cells are the middles of bodies.",
        "input": ModelInput(multiple_of=64),
        "outputs": tuple(ModelOutput(name=f"p{s}", meaning="raw") for s in (8, 16, 32, 64)),
        "extra": {"levels": {"8": 1, "16": 1, "32": 1, "64": 1}},
    }
)


def red_detector(card: Card = CARD) -> bytes:
    """An ONNX file; a face is 16 x 16 pixels of the network around the middle of its red cell."""
    return _cell_detector(card, 0, [0, 0, 0, 0, *np.ravel(LANDMARKS)])


def green_bodies(card: Card = BODY_CARD) -> bytes:
    """An ONNX file; a body is 32 x 96 pixels of the network around the middle of a green cell."""
    sizes = np.log(np.array([BODY_WIDTH, BODY_HEIGHT]) / 16)
    return _cell_detector(card, 1, [0, 0, *sizes])


def _cell_detector(card: Card, channel: int, said: list[float]) -> bytes:
    """Says the same of every cell of 8 x 8 that is wholly of one colour."""
    nodes, constants, outputs = [], [], []
    size = 1 + len(said)
    for stride, predictions in ((int(s), p) for s, p in card.extra["levels"].items()):
        weight = np.zeros((size * predictions, 3, stride, stride), np.float32)
        bias = np.zeros(size * predictions, np.float32)
        bias[::size] = -20
        if stride == 8:
            # Logit 10 where the cell is wholly so, -10 where three quarters are, less elsewhere.
            weight[0] = -80 / 64
            weight[0, channel] = 80 / 64
            bias[0] = -70
            bias[1:size] = said
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
                f"p{stride}", TensorProto.FLOAT, ["n", size * predictions, None, None]
            )
        )
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    graph = helper.make_graph(nodes, "red", [image], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    helper.set_model_props(model, card.to_metadata())
    return bytes(model.SerializeToString())


def red_picture(
    width: int,
    height: int,
    *cells: tuple[int, int],
    green: Sequence[tuple[int, int]] = (),
) -> np.ndarray:
    """Grey, with cells (column, row) of 8 x 8 pixels in red, and some in green."""
    image = np.full((height, width, 3), 90, np.uint8)
    for colour, places in (((255, 0, 0), cells), ((0, 255, 0), green)):
        for column, row in places:
            image[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = colour
    return image


def box_of(column: int, row: int) -> list[float]:
    """The face of a red cell, in pixels of the network."""
    x, y = column * 8 + 4, row * 8 + 4
    return [x - 8, y - 8, x + 8, y + 8]


def body_of(column: int, row: int) -> list[float]:
    """The body of a green cell, in pixels of the network."""
    x, y = column * 8 + 4, row * 8 + 4
    return [x - BODY_WIDTH / 2, y - BODY_HEIGHT / 2, x + BODY_WIDTH / 2, y + BODY_HEIGHT / 2]
