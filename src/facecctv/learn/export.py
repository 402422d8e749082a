"""From a trained network to the file that the product runs."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from facecctv.errors import ModelError
from facecctv.models.card import Card

OPSET = 17
HALF_FROM = 256
"""Weights of at least so many numbers are stored in half precision."""


class _Inference(torch.nn.Module):
    """Calls a Keras model without training behaviour; torch's exporter cannot pass the flag."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | Sequence[torch.Tensor]:
        return self.model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)


def export(
    model: torch.nn.Module,
    example: torch.Tensor | Sequence[torch.Tensor],
    *,
    card: Card,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: Mapping[str, Mapping[int, str]],
    half: bool = True,
) -> bytes:
    """Returns the ONNX file of a trained Keras or torch model.

    Batch normalisation is folded into the convolutions and constants are computed, both by ONNX
    Runtime's own standard-operator optimisations. With `half`, large weights are stored as float16
    and widened when the file is loaded: half the size, arithmetic still in float32.

    Args:
        model: in its trained state.
        example: inputs of a typical shape.
        card: becomes the metadata of the file.
        inputs: names of the inputs.
        outputs: names of the outputs.
        dynamic: input or output name -> axis -> name of the free size.
        half: store large weights in half precision.
    """
    model.eval()
    buffer = io.BytesIO()
    arguments = (example,) if isinstance(example, torch.Tensor) else tuple(example)
    with warnings.catch_warnings(), torch.no_grad():
        # The TorchScript exporter is deprecated, but the newer one fixes free sizes (PyTorch 2.13).
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Inference(model),
            arguments,
            buffer,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in dynamic.items()},
        )
    graph = _simplify(buffer.getvalue())
    if half:
        _store_half(graph)
    for key, value in card.to_metadata().items():
        graph.metadata_props.append(onnx.StringStringEntryProto(key=key, value=value))
    graph.producer_name, graph.producer_version = "facecctv", card.version
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


def with_card(model: bytes, card: Card) -> bytes:
    """The same model with another card: metrics are known only after the export."""
    graph = onnx.load_model_from_string(model)
    del graph.metadata_props[:]
    for key, value in card.to_metadata().items():
        graph.metadata_props.append(onnx.StringStringEntryProto(key=key, value=value))
    return graph.SerializeToString()


def check_parity(
    model: torch.nn.Module,
    exported: bytes,
    examples: Sequence[Sequence[np.ndarray]],
    tolerance: float,
    *,
    least: float = 1e-6,
) -> float:
    """Returns the largest difference between the trained network and the file.

    Differences are relative to the largest value of each output, or to `least` where that is
    larger: 1 for probabilities, of which a sure network gives none but tiny ones for some examples.
    Raises ModelError when one is over the tolerance.
    """
    options = onnxruntime.SessionOptions()
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    worst = 0.0
    for example in examples:
        with torch.no_grad():
            wanted = _Inference(model.eval())(*(torch.from_numpy(array) for array in example))
        wanted = [wanted] if isinstance(wanted, torch.Tensor) else list(wanted)
        got = session.run(None, dict(zip(names, example, strict=True)))
        for a, b in zip(wanted, got, strict=True):
            reference = a.numpy()
            scale = max(float(np.abs(reference).max()), least)
            worst = max(worst, float(np.abs(reference - b).max()) / scale)
    if worst > tolerance:
        raise ModelError(f"the exported model differs from the trained one by {worst:.2g}")
    return worst


def _simplify(model: bytes) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        options = onnxruntime.SessionOptions()
        # The basic level uses standard operators only, so any engine can read the result.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        graph = onnx.load(path)
    kept = [entry for entry in graph.opset_import if entry.domain in ("", "ai.onnx")]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
    return graph


def _store_half(model: onnx.ModelProto) -> None:
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < HALF_FROM:
            continue
        name = tensor.name
        values = numpy_helper.to_array(tensor)
        largest = np.finfo(np.float16).max
        half = np.clip(values, -largest, largest).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, name + "_half"))
        casts.append(helper.make_node("Cast", [name + "_half"], [name], to=TensorProto.FLOAT))
    for node in reversed(casts):
        model.graph.node.insert(0, node)
