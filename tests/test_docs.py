"""What the documentation shows is run."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest

from facecctv import cli
from facecctv.demo import write_demo

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_demo(tmp_path / "pictures")


def test_the_python_page(pictures):
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, "python.md", None, 0)
    assert len(test.examples) > 5
    said = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert result.failed == 0, "".join(said)


def test_every_command_on_the_command_line_page_works(pictures, capsys):
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\$ facecctv (.+)$", text, re.MULTILINE)
    shown = {shlex.split(line)[0] for line in lines}
    assert shown >= {"examine", "detect", "models", "doctor", "demo"}
    for line in lines:
        assert cli.main(shlex.split(line)) == 0, line
        out = capsys.readouterr().out
        assert out, line
        counts = re.findall(r"^pictures/\S+: \d+ faces?\b", out, re.MULTILINE)
        assert all(count in text for count in counts), f"docs/cli.md shows other faces than: {out}"
