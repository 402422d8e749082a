import importlib
import os
import sys
from pathlib import Path

import hypothesis
import pytest

import facecctv.learn  # noqa: F401 - chooses Keras' backend before any test imports Keras
from tests.red_detector import red_detector
from tests.tiny_enhancers import constant_colouriser, nearest_enhancer

# How long one example takes says more about the machine's other work than about the code.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("default")


def pytest_collection_modifyitems(items):
    if os.environ.get("FACECCTV_DATA"):
        return
    skip = pytest.mark.skip(reason="needs the private training data (FACECCTV_DATA)")
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def shared_data():
    """The folder of the private training data, for tests marked `shared`."""
    return Path(os.environ["FACECCTV_DATA"])


@pytest.fixture(scope="session")
def red_model(tmp_path_factory):
    """The path of a detector to which every red cell of 8 x 8 pixels is a face."""
    path = tmp_path_factory.mktemp("models") / "red-detector.onnx"
    path.write_bytes(red_detector())
    return str(path)


@pytest.fixture(scope="session")
def small_models(tmp_path_factory):
    """A folder with enhancers, a colouriser and a face detector of a few bytes each."""
    path = tmp_path_factory.mktemp("models")
    (path / "enhancer-x2.onnx").write_bytes(nearest_enhancer(2))
    (path / "enhancer-x4.onnx").write_bytes(nearest_enhancer(4))
    (path / "colouriser.onnx").write_bytes(constant_colouriser())
    (path / "face-detector.onnx").write_bytes(red_detector())
    return path


@pytest.fixture
def benchmark(monkeypatch):
    """benchmark(name) -> that file of benchmarks/."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent))
    yield lambda name: importlib.import_module(f"benchmarks.{name}")
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        del sys.modules[name]
