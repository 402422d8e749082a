import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

import facecctv

ROOT = Path(__file__).parent.parent
HEAVY = ("numpy", "cv2", "onnxruntime", "pydantic", "PIL", "av", "rich", "typer", "torch", "keras")


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_every_public_name_can_be_had_and_is_listed():
    assert sorted(facecctv.__all__) == facecctv.__all__
    for name in facecctv.__all__:
        assert getattr(facecctv, name) is not None
        assert name in dir(facecctv)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Fase"):
        facecctv.Fase  # noqa: B018


def test_importing_the_package_loads_nothing_heavy_and_prints_nothing():
    code = f"import sys, facecctv; print(*[name for name in {HEAVY} if name in sys.modules])"
    assert run_python(code).strip() == ""


@pytest.mark.parametrize("module", ["facecctv.cli", "facecctv.schema", "facecctv.settings"])
def test_the_doors_never_load_a_training_framework_nor_rich(module):
    code = f"import sys, {module}; print(*({{'torch', 'keras', 'rich', 'cv2'}} & set(sys.modules)))"
    assert run_python(code).strip() == ""


def test_the_pins_name_no_place_to_download_from():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or (line.count("==") == 1 and "/" not in line), line


def test_the_pins_cover_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [extras[name] for name in ("learn", "dev", "serve", "mqtt")]
    wanted = [*project["dependencies"], *chain.from_iterable(needed)]
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    names = {need.split(">")[0].split("=")[0].split("[")[0].lower() for need in wanted}
    assert names - {"facecctv"} <= pinned
