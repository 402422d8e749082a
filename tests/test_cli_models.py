from __future__ import annotations

import hashlib
import json

import pytest

from facecctv import cli
from facecctv.cli import doctor
from facecctv.models.store import SHIPPED
from tests.red_detector import red_detector


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs a command with a cache of its own; returns status, stdout, stderr."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FACECCTV_MODELS", raising=False)

    def run(*arguments):
        status = cli.main([*map(str, arguments)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch, call):
    """A folder of models of the user's own, with one model and its record."""
    path = tmp_path / "mine"
    path.mkdir()
    data = red_detector()
    (path / "red-detector.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (path / "SHA256SUMS").write_text(f"{digest}  red-detector.onnx\n")
    monkeypatch.setenv("FACECCTV_MODELS", str(path))
    return path


NAMES = sorted(path.stem for path in SHIPPED.glob("*.onnx"))


class TestList:
    def test_shipped(self, call):
        status, out, err = call("models", "list")
        header, *rows = out.splitlines()
        assert (status, err) == (0, "")
        assert header.split() == ["NAME", "TASK", "VERSION", "MB", "ORIGIN", "STATE"]
        assert [row.split()[0::4] for row in rows] == [[name, "shipped"] for name in NAMES]
        assert all(row.endswith("ok") for row in rows)

    def test_json_and_the_order_of_look_up(self, call, folder):
        (folder / "broken.onnx").write_bytes(b"no model")
        _, out, _ = call("models", "list", "--json")
        broken, red, *shipped = (json.loads(line) for line in out.splitlines())
        assert (broken["origin"], broken["state"], "error" in broken) == ("folder", "unknown", True)
        assert (red["name"], red["origin"], red["state"]) == ("red-detector", "folder", "ok")
        assert red["task"] == "face-detector"
        assert red["size"] == len(red_detector())
        assert [one["path"] for one in shipped] == [str(SHIPPED / f"{name}.onnx") for name in NAMES]

    def test_offers(self, call, tmp_path):
        catalogue = offer(tmp_path)
        _, out, _ = call("models", "list", "--catalogue", catalogue)
        assert out.splitlines()[-1].split() == [
            "large",
            "-",
            "-",
            "0.0",
            "catalogue",
            "not",
            "fetched",
        ]


class TestVerify:
    def test_all_well(self, call, folder):
        status, out, err = call("models", "verify")
        assert (status, err) == (0, "")
        assert [line.split()[-1] for line in out.splitlines()[1:]] == ["ok"] * (1 + len(NAMES))

    def test_tampered_and_missing(self, call, folder):
        with (folder / "red-detector.onnx").open("ab") as file:
            file.write(b"\0")
        status, out, err = call("models", "verify")
        assert status == 1
        assert "tampered" in out
        assert err == "red-detector: not the file on record (SHA-256)\n"
        (folder / "red-detector.onnx").unlink()
        status, out, err = call("models", "verify", "--json")
        states = {(row := json.loads(line))["name"]: row["state"] for line in out.splitlines()}
        assert (status, err) == (1, "")
        assert states == {"red-detector": "missing"} | dict.fromkeys(NAMES, "ok")


def offer(folder, **changes):
    facts = {"name": "large", "url": "https://example.org/a.onnx", "sha256": "0" * 64, "size": 5}
    facts |= {"licence": "CC-BY-NC-4.0", "commercial_use": False, "purpose": "tests"}
    lines = (f"{key} = {json.dumps(value)}" for key, value in (facts | changes).items())
    path = folder / "catalogue.toml"
    path.write_text("[[model]]\n" + "\n".join(lines) + "\n")
    return path


class TestFetch:
    def test_what_is_not_known(self, call):
        status, out, err = call("models", "fetch", "nothing")
        assert (status, out) == (1, "")
        assert err == "facecctv: no model 'nothing' in the catalogue (known: none)\n"

    def test_a_licence_has_to_be_accepted(self, call, tmp_path):
        status, _, err = call("models", "fetch", "large", "--catalogue", offer(tmp_path))
        assert status == 1
        assert "non-commercial" in err

    def test_offline(self, call, tmp_path, monkeypatch):
        monkeypatch.setenv("FACECCTV_OFFLINE", "1")
        catalogue = offer(tmp_path, commercial_use=True)
        status, _, err = call("models", "fetch", "large", "--catalogue", catalogue)
        assert status == 1
        assert "offline" in err

    def test_what_is_there_is_not_fetched_again(self, call, tmp_path):
        data = red_detector()
        catalogue = offer(tmp_path, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        cached = tmp_path / "cache" / "facecctv" / "models" / "large.onnx"
        cached.parent.mkdir(parents=True)
        cached.write_bytes(data)
        status, out, _ = call("models", "fetch", "large", "--catalogue", catalogue)
        assert (status, out) == (0, f"{cached}\n")


class TestDoctor:
    def test_a_sound_installation(self, call):
        status, out, err = call("doctor", "--json")
        report = json.loads(out)
        states = {check["name"]: check["state"] for check in report["checks"]}
        assert (status, err, report["ok"]) == (0, "", True)
        assert "broken" not in states.values()
        for name in ("python", "onnxruntime", "providers", "model face-detector", "speed"):
            assert states[name] == "ok"
        assert {"detection", "memory", "cache", "extra serve"} <= set(states)

    def test_a_model_that_is_not_the_recorded_one(self, call, folder):
        with (folder / "red-detector.onnx").open("ab") as file:
            file.write(b"\0")
        status, out, _ = call("doctor")
        assert status == 1
        (line,) = (line for line in out.splitlines() if line.startswith("BROKEN"))
        assert "red-detector" in line
        assert "replace or delete" in out
        assert out.endswith("\n1 broken\n")

    def test_an_impossible_setting(self, call, monkeypatch):
        monkeypatch.setenv("FACECCTV_THREADS", "many")
        status, out, _ = call("doctor")
        assert status == 1
        assert "FACECCTV_THREADS" in out

    def test_a_provider_that_is_not_there(self, call, monkeypatch):
        monkeypatch.setenv("FACECCTV_PROVIDER", "coreml")
        status, out, _ = call("doctor", "--json")
        broken = [check for check in json.loads(out)["checks"] if check["state"] == "broken"]
        assert status == 1
        assert all("CoreML" in check["detail"] and check["advice"] for check in broken)

    def test_a_library_that_is_not_there(self, call, monkeypatch):
        monkeypatch.setitem(doctor.LIBRARIES, "nosuchpackage", "nosuchmodule")
        status, out, _ = call("doctor")
        assert status == 1
        assert "pip install nosuchpackage" in out

    def test_a_cache_that_cannot_be_written_is_only_noted(self, call, monkeypatch, tmp_path):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        status, out, _ = call("doctor", "--json")
        (cache,) = (check for check in json.loads(out)["checks"] if check["name"] == "cache")
        assert status == 0
        assert cache["state"] == "note"
