import os
from pathlib import Path

import hypothesis
import pytest

import facecctv.learn  # noqa: F401 - chooses Keras' backend before any test imports Keras

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
