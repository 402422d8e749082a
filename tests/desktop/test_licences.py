"""What may be in the bundle: recognised by file names and by FFmpeg's own words."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def licences():
    place = ROOT / "packaging" / "licences.py"
    spec = importlib.util.spec_from_file_location("licences", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], []),
        (["av/codec/context.py", "av.libs/libvpx-edb6.so.12", "av/__init__.py"], []),
        (["av.libs/libx264-d653.so.165"], ["libx264-d653.so.165"]),
        (["av/.dylibs/libx265.216.dylib", "a.py"], ["libx265.216.dylib"]),
        (["av.libs/x264-165-9f.dll"], ["x264-165-9f.dll"]),
        (["--enable-gnutls", "--enable-libx264", "--disable-libxvid"], ["--enable-libx264"]),
    ],
)
def test_gpl_libraries_are_known_by_their_names(licences, names, found):
    assert licences.copyleft_in(names) == found


def test_an_av_that_is_not_installed_stays_out(licences, monkeypatch):
    def missing(name):
        raise licences.PackageNotFoundError(name)

    monkeypatch.setattr(licences, "files", missing)
    assert licences.why_not_av() == "it is not installed"


def test_the_wheel_tells_what_it_carries(licences, monkeypatch):
    monkeypatch.setattr(licences, "files", lambda name: [f"{name}.libs/libx264-1.so"])
    assert "carries libx264-1.so" in licences.why_not_av()


@pytest.mark.parametrize(
    ("licence", "configuration", "said"),
    [
        ("LGPL version 2.1 or later", "--enable-libvpx", ""),
        ("GPL version 3 or later", "", "under the GPL version 3"),
        ("LGPL version 3 or later", "--enable-libx265", "--enable-libx265"),
    ],
)
def test_an_av_over_the_systems_ffmpeg_is_asked(
    licences, monkeypatch, licence, configuration, said
):
    meta = {"libavcodec": {"license": licence, "configuration": configuration}}
    monkeypatch.setattr(licences, "files", lambda name: [])
    monkeypatch.setitem(sys.modules, "av", type(sys)("av"))
    monkeypatch.setitem(sys.modules, "av._core", type(sys)("av._core"))
    monkeypatch.setattr(sys.modules["av._core"], "library_meta", meta, raising=False)
    reason = licences.why_not_av()
    assert (said in reason) if said else reason == ""


WITHOUT_VIDEO = """
import sys
sys.modules["av"] = None
from facecctv.api.app import create_app
from facecctv.api.desk import ServerSettings
from facecctv.build import workshop
from facecctv.desktop import program
from facecctv.settings import Settings
assert create_app(workshop(Settings()), ServerSettings()).routes
"""


def test_server_and_window_do_without_pyav():
    """As in a bundle that must not carry it."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_VIDEO], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("module", "said"),
    [("av.error", "video is not part"), ("facecctv.learn", "training is not part"), ("avx", None)],
)
def test_the_program_says_what_it_leaves_out(monkeypatch, module, said):
    def absent(_):
        raise ModuleNotFoundError(name=module)

    monkeypatch.setattr("facecctv.cli.main", absent)
    code = compile((ROOT / "packaging" / "start.py").read_text(), "start.py", "exec")
    with pytest.raises(SystemExit if said else ModuleNotFoundError) as ended:
        exec(code, {})
    if said:
        assert said in ended.value.code
