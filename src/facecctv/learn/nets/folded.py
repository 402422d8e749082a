"""Weights of an exported network of ours, brought back into the network they came from.

Export folds each normalisation into its convolution. A folded weight and bias are a convolution
whose normalisation does nothing but add the bias, so they can be put back exactly: scale 1, mean 0,
variance 1 - epsilon, shift = bias. Teach such a network with its normalisation in inference mode:
the statistics of the batches are no longer its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import onnx
from onnx import numpy_helper

from facecctv.errors import ModelError
from facecctv.learn.nets.blocks import ConvNorm, Convolve

_TRANSPARENT = {"Relu", "Resize"}


def load_folded(model: keras.Model, exported: bytes) -> None:
    """Gives a `DetectorNet` model the weights of its own ONNX file.

    The two graphs are walked side by side from the outputs to the picture. Raises ModelError where
    they differ in structure or shape.
    """
    graph = onnx.load_model_from_string(exported).graph
    values = _values(graph)
    producers = {name: node for node in graph.node for name in node.output}
    names = [output.name for output in graph.output]
    if len(names) != len(model.outputs):
        raise ModelError(f"the file has {len(names)} outputs, the network {len(model.outputs)}")
    seen: set[int] = set()
    for name, tensor in zip(names, model.outputs, strict=True):
        for node, layer in _pairs(name, tensor, producers, seen):
            weight, bias = (values[n] for n in node.input[1:])
            _put(layer, weight, bias)


def load_in_order(model: keras.Model, exported: bytes) -> None:
    """Gives a network whose layers are called in the order of their making its own ONNX file's.

    All of ours but the detectors are. Convolutions without a bias, such as the constant one that
    makes colours out of classes, hold nothing learnt and are passed over. Raises ModelError where
    the number of layers or a shape differs.
    """
    graph = onnx.load_model_from_string(exported).graph
    values = _values(graph)
    nodes = [n for n in graph.node if n.op_type in ("Conv", "Gemm") and len(n.input) == 3]
    kinds = ConvNorm | Convolve | keras.layers.Dense
    built = [layer for layer in model.layers if isinstance(layer, kinds)]
    if len(nodes) != len(built):
        raise ModelError(f"the file has {len(nodes)} layers with weights, not {len(built)}")
    heads = [_made(output)[0].name for output in model.outputs]
    for node, layer in zip(_heads_last(nodes, graph), _sorted_heads(built, heads), strict=True):
        weight, bias = (values[name] for name in node.input[1:])
        _put(layer, weight, bias)


def _heads_last(nodes: Sequence[onnx.NodeProto], graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Layers that give an output after all others, in the order of the outputs."""
    rank = {output.name: place for place, output in enumerate(graph.output)}
    return sorted(nodes, key=lambda node: rank.get(node.output[0], -1))


def _sorted_heads(
    layers: Sequence[keras.layers.Layer], heads: Sequence[str]
) -> list[keras.layers.Layer]:
    rank = {name: place for place, name in enumerate(heads)}
    return sorted(layers, key=lambda layer: rank.get(layer.name, -1))


def _values(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Every constant as float32, also those stored in half precision and widened by a Cast."""
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]].astype(np.float32)
    return values


def _pairs(
    name: str, tensor: keras.KerasTensor, producers: dict[str, onnx.NodeProto], seen: set[int]
) -> Iterator[tuple[onnx.NodeProto, keras.layers.Layer]]:
    """Convolutions of the file and layers of the network that belong together, each once."""
    while name in producers and producers[name].op_type in _TRANSPARENT:
        name = producers[name].input[0]
    layer, inputs = _made(tensor)
    while isinstance(layer, keras.layers.ReLU):
        layer, inputs = _made(inputs[0])
    if id(layer) in seen:
        return
    seen.add(id(layer))
    node = producers.get(name)
    if node is None or isinstance(layer, keras.layers.InputLayer):
        if node is not None or not isinstance(layer, keras.layers.InputLayer):
            raise ModelError("the file's graph is not this network's: one ends before the other")
        return
    is_layer = isinstance(layer, ConvNorm | keras.layers.Conv2D)
    if (node.op_type == "Conv") != is_layer:
        raise ModelError(f"the file's graph is not this network's: {node.op_type}, {layer.name}")
    if is_layer:
        yield node, layer
    before = node.input[:1] if is_layer else node.input
    if len(before) != len(inputs):
        raise ModelError(f"the file's graph is not this network's at {layer.name}")
    for earlier, source in zip(before, inputs, strict=True):
        yield from _pairs(earlier, source, producers, seen)


def _made(tensor: keras.KerasTensor) -> tuple[keras.layers.Layer, list[keras.KerasTensor]]:
    layer, index, _ = tensor._keras_history
    return layer, list(layer._inbound_nodes[index].input_tensors)


def _put(layer: keras.layers.Layer, weight: np.ndarray, bias: np.ndarray) -> None:
    if isinstance(layer, ConvNorm):
        ones = np.ones_like(bias)
        values = [
            (layer.weight, weight),
            (layer.scale, ones),
            (layer.shift, bias),
            (layer.mean, 0 * ones),
            (layer.variance, ones * np.float32(1 - layer.epsilon)),
        ]
    elif isinstance(layer, Convolve):
        values = [(layer.weight, weight), (layer.bias, bias)]
    elif isinstance(layer, keras.layers.Dense):
        values = [(layer.kernel, weight), (layer.bias, bias)]
    else:
        values = [(layer.kernel, weight.transpose(2, 3, 1, 0)), (layer.bias, bias.reshape(-1))]
    for variable, value in values:
        if tuple(variable.shape) != value.shape:
            raise ModelError(
                f"{layer.name} has weights {tuple(variable.shape)}, the file {value.shape}"
            )
        variable.assign(value)
