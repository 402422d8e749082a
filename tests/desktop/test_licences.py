"""What may be in the bundle: recognised by file names and by FFmpeg's own words."""

from __future__ import annotations

import importlib.util
import os
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
        (
            ["lib-dynload/readline.cpython-311.so", "libreadline.so.8", "notreadline.so"],
            ["libreadline.so.8", "readline.cpython-311.so"],
        ),
        (["av.libs/x264-165-9f.dll"], ["x264-165-9f.dll"]),
        (["--enable-gnutls", "--enable-libx264", "--disable-libxvid"], ["--enable-libx264"]),
    ],
)
def test_gpl_libraries_are_known_by_their_names(licences, names, found):
    assert licences.copyleft_in(names) == found


@pytest.mark.parametrize(
    ("place", "needs", "stays"),
    [
        ("cv2/cv2.abi3.so", ["libc.so.6"], True),
        ("PySide6/Qt/lib/libQt6WebEngineCore.so.6", ["libQt6Quick.so.6"], True),
        ("libQt6Charts.so.6", [], False),
        ("lib-dynload/readline.so", ["libreadline.so.8"], False),
        ("cv2/a.so", ["libx264.so.165"], False),
        ("PySide6/Qt/lib/libQt6VirtualKeyboard.so.6", [], False),
        ("PySide6/Qt/plugins/platforms/libqxcb.so", ["libQt6XcbQpa.so.6"], True),
        (
            "PySide6/Qt/plugins/a/libqtvirtualkeyboardplugin.so",
            ["libQt6VirtualKeyboard.so.6"],
            False,
        ),
        ("PySide6/QtDataVisualization.abi3.so", ["libQt6DataVisualization.so.6"], False),
        ("PySide6/Qt/qml/QtQuick/libqtquick2plugin.so", [], False),
        ("facecctv/qml/a", [], True),
    ],
)
def test_of_qt_stays_what_the_window_loads(licences, place, needs, stays):
    assert licences.belongs(place, needs) == stays


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
import runpy, sys
runpy.run_path(sys.argv[1])
sys.meta_path.insert(0, sys.meta_path.pop())  # PyAV is installed here
from facecctv.api.app import create_app
from facecctv.api.desk import ServerSettings
from facecctv.build import workshop
from facecctv.cli import main
from facecctv.cli.doctor import _library
from facecctv.desktop import program
from facecctv.settings import Settings
assert create_app(workshop(Settings()), ServerSettings()).routes
print(_library("av", "av"))
sys.exit(main(["footage", sys.argv[2], "-o", "out"]))
"""


def test_without_pyav_everything_loads_and_video_is_said_to_be_left_out(tmp_path):
    hook = ROOT / "packaging" / "without_video.py"
    (tmp_path / "a.mp4").write_bytes(b"no video")
    command = [sys.executable, "-c", WITHOUT_VIDEO, str(hook), "a.mp4"]
    places = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=os.environ | places
    )
    assert done.returncode == 1
    assert "state='note', detail='video is not part of this program" in done.stdout
    assert "video is not part of this program: pip install facecctv" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("module", "said"), [("facecctv.learn.plots", True), ("cv2", False)])
def test_the_program_says_what_it_leaves_out(monkeypatch, module, said):
    def absent(_):
        raise ModuleNotFoundError(name=module)

    monkeypatch.setattr("facecctv.cli.main", absent)
    code = compile((ROOT / "packaging" / "start.py").read_text(), "start.py", "exec")
    with pytest.raises(SystemExit if said else ModuleNotFoundError) as ended:
        exec(code, {})
    if said:
        assert "training is not part" in ended.value.code
