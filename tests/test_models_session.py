from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from facecctv.errors import ModelError, ModelTampered, SettingError
from facecctv.models.session import (
    Runner,
    Session,
    _quota,
    available_providers,
    physical_cores,
)
from tests.tiny_models import a_card, a_model

ROOT = Path(__file__).parents[1]


def graph(op: str, inputs: list[str], dims: list[object], kind: int = TensorProto.FLOAT) -> bytes:
    """Returns a model of one node, with a card."""
    values = [helper.make_tensor_value_info(name, kind, dims) for name in inputs]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    made = helper.make_graph([helper.make_node(op, inputs, ["y"])], "g", values, [out])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, a_card().to_metadata())
    return bytes(model.SerializeToString())


def test_no_bytes_are_no_model() -> None:
    with pytest.raises(ModelError):
        Session(b"").run(np.zeros(1, np.float32))


@pytest.mark.parametrize("arena", ["keep", "shrink", "off"])
def test_inputs_and_outputs_are_in_the_order_of_the_graph(arena: str) -> None:
    runner: Runner = Session(graph("Sub", ["b", "a"], ["n", 2]), arena=arena)  # type: ignore[arg-type]
    for n in (1, 3, 2):  # Batches of any size are plain first axis.
        left = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
        right = np.full((n, 2), 10, np.float32)
        (out,) = runner.run(left, right)
        np.testing.assert_array_equal(out, left - right)
        assert out.dtype == np.float32
    assert runner.card == a_card()


def test_views_are_run_as_they_look() -> None:
    picture = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    view = picture[:, ::-1, ::2].transpose(2, 0, 1)
    (out,) = Session(graph("Neg", ["x"], [None, None, None])).run(view)
    np.testing.assert_array_equal(out, -view)


def test_what_runs_is_told() -> None:
    session = Session(graph("Neg", ["x"], ["n"]))
    assert session.provider == "CPU"
    assert session.load_seconds > 0
    assert "CPU" in available_providers()


def test_loading_waits_for_the_first_use() -> None:
    calls: list[int] = []

    def loader() -> bytes:
        calls.append(1)
        return graph("Neg", ["x"], ["n"])

    session = Session(loader)
    assert calls == []
    assert session.card.name == "tiny"
    session.run(np.zeros(1, np.float32))
    assert calls == [1]


def test_many_threads_load_once() -> None:
    calls: list[int] = []
    gate = threading.Barrier(8)

    def loader() -> bytes:
        calls.append(1)
        return graph("Neg", ["x"], ["n"])

    session = Session(loader, threads=1)

    def use(value: int) -> float:
        gate.wait(10)
        return float(session.run(np.array([value], np.float32))[0][0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(8))) == [-float(i) for i in range(8)]
    assert calls == [1]


def test_a_load_that_failed_is_tried_again() -> None:
    models = iter([b"", graph("Neg", ["x"], ["n"])])
    session = Session(lambda: next(models))
    with pytest.raises(ModelError):
        _ = session.card
    assert session.card.name == "tiny"


def test_what_the_loader_raises_comes_through() -> None:
    def loader() -> bytes:
        raise ModelTampered("not the file on record")

    with pytest.raises(ModelTampered):
        _ = Session(loader).card


@pytest.mark.parametrize(
    "model",
    [b"\xff" * 100, graph("Neg", ["x"], ["n"])[:-3], a_model({}), graph("NoSuchOp", ["x"], ["n"])],
    ids=["junk", "truncated", "no card", "unknown operator"],
)
def test_models_that_cannot_be_used_are_one_line(
    model: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError) as caught:
        _ = Session(model).card
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "array",
    [np.zeros((1, 3), np.float32), np.zeros((1, 2, 1), np.float32), np.zeros((1, 2), np.float64)],
    ids=["width", "rank", "dtype"],
)
def test_arrays_the_graph_cannot_take_are_one_line(
    array: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    session = Session(graph("Neg", ["x"], ["n", 2]))
    with pytest.raises(ModelError, match="cannot run tiny") as caught:
        session.run(array)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("count", [0, 2])
def test_the_number_of_inputs_is_the_graphs(count: int) -> None:
    with pytest.raises(ValueError, match="takes 1 inputs"):
        Session(graph("Neg", ["x"], ["n"])).run(*[np.zeros(1, np.float32)] * count)


@pytest.mark.parametrize("arena", ["keep", "off"])
def test_too_little_memory_is_a_memory_error(arena: str) -> None:
    session = Session(graph("ConstantOfShape", ["x"], ["n"], TensorProto.INT64), arena=arena)  # type: ignore[arg-type]
    with pytest.raises(MemoryError, match="tiny"):
        session.run(np.array([1 << 50]))
    assert session.run(np.array([2]))[0].tolist() == [0, 0]


@pytest.mark.parametrize(
    "options",
    [{"threads": 0}, {"threads": -1}, {"arena": "big"}, {"providers": "GPU"}, {"providers": []}],
)
def test_impossible_settings(options: dict[str, object]) -> None:
    with pytest.raises(SettingError):
        Session(b"", **options)  # type: ignore[arg-type]


def test_a_provider_that_is_absent_is_named_with_those_present() -> None:
    absent = [name for name in ("CUDA", "DirectML", "CoreML") if name not in available_providers()]
    model = graph("Neg", ["x"], ["n"])
    for name in absent:
        with pytest.raises(SettingError, match=f"^{name} is not there .*there is: .*CPU"):
            Session(model, providers=[name.lower(), "cpu"]).run(np.zeros(1, np.float32))
    assert absent


def test_threads_are_those_of_the_machine_that_this_process_may_use() -> None:
    assert 0 <= physical_cores() <= (os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        code = (
            "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
            "from facecctv.models.session import physical_cores; print(physical_cores())"
        )
        assert python(code) == "1"


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", 65536), ("", 65536), ("200000 100000", 2), ("150000 100000", 2), ("1 9", 1)],
)
def test_the_quota_of_a_container(tmp_path: Path, text: str, cores: int) -> None:
    path = tmp_path / "cpu.max"
    assert _quota(path) == 65536
    path.write_text(text)
    assert _quota(path) == cores


def python(code: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_engine_is_imported_only_when_a_session_loads() -> None:
    code = (
        "import sys; from facecctv.models import session, store;"
        "session.Session(b''); store.Store().list(); print('onnxruntime' in sys.modules)"
    )
    assert python(code) == "False"
