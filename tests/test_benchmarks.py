import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    yield importlib.import_module("benchmarks.table")
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        del sys.modules[name]


RESULT = {
    "machine": {"cpu": "A CPU", "cores": 2, "threads_used": 2},
    "detect": {
        "VGA": {
            "total_ms": 9.24,
            "network_ms": 7.0,
            "rest_ms": 2.24,
            "faces": 3,
            "faces_per_second": 324.7,
        },
        "4K": None,
    },
    "stages": {"x4 160x120": {"total_ms": 31.2, "peak_mb": 80.0}, "embed 160x120": None},
    "search": {"10,000": {"total_ms": 0.31, "peak_mb": 71.2}, "100,000": None},
    "start": {"import": {"seconds": 0.05}, "help": {"seconds": 0.2}, "detect_vga": None},
    "files": {"1080p": {"whole_seconds": 1.04, "peak_mb": 210.4}},
}


def test_the_table_says_what_was_measured_and_what_was_not(table):
    text = table.markdown(RESULT)
    assert "A CPU, 2 cores, 2 threads" in text
    assert "9.2 ms (3 faces: 325/s); network 7.0 ms, the rest 2.2 ms" in text
    assert "| Faces in a 4K picture in memory | not measured |" in text
    assert "1.0 s, at most 210 MB" in text
    assert "| Enhancing a 160x120 picture x4 | 31 ms, at most 80 MB of memory |" in text
    assert (
        "| Who of 10,000 templates is nearest (exact) | 0.3 ms, at most 71 MB of memory |" in text
    )
    assert "| Embedding 8 faces in one batch | not measured |" in text


def test_the_readme_is_filled_between_its_marks_and_only_there(table, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text())
    table.fill(readme, "first")
    table.fill(readme, "second")
    before, after = (ROOT / "README.md").read_text().split(table.BEGIN)[0], readme.read_text()
    assert after.startswith(f"{before}{table.BEGIN}\nsecond\n{table.END}\n")
    assert "first" not in after


@pytest.mark.parametrize("text", ["", "<!-- benchmarks:end -->\n<!-- benchmarks:begin -->"])
def test_a_readme_without_the_marks_is_left_alone(table, tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ValueError, match="needs"):
        table.fill(readme, "x")
    assert readme.read_text() == text
