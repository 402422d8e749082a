"""The real window on a screen in memory (Xvfb), with Qt's real dialogs and the built web app."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import skimage.data

from facecctv.image import encode, resize

pytestmark = pytest.mark.window

GUIDED = Path(__file__).parent / "guided.py"
# More for machines that are busy with other work.
PATIENCE = float(os.environ.get("FACECCTV_TEST_SECONDS", "120"))


@pytest.fixture(scope="module")
def screen():
    """The number of a display of its own."""
    reading, writing = os.pipe()
    command = [shutil.which("Xvfb") or "Xvfb", "-displayfd", str(writing), "-screen", "0",
               "1400x1000x24", "-nolisten", "tcp"]  # fmt: skip
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            number = pipe.readline().strip()
        assert number
        yield f":{number}"
        server.terminate()


@pytest.fixture
def environment(screen, tmp_path):
    # The sandbox of Chromium refuses root, which is who tests run as in containers.
    root = {"QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox"} if os.geteuid() == 0 else {}
    home = {name: str(tmp_path / "home") for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME")}
    # The page asks the detector for less certain faces too: this is no test of its accuracy.
    (tmp_path / "home" / "facecctv").mkdir(parents=True)
    (tmp_path / "home" / "facecctv" / "desktop.json").write_text('{"settings": {"threshold": 0.2}}')
    return os.environ | root | home | {"DISPLAY": screen, "QT_QPA_PLATFORM": "xcb"}


class Guide:
    """Works the app as a user would: by the page's buttons, and keys into dialogs."""

    def __init__(self, environment, log):
        self.environment = environment
        self.process = subprocess.Popen(
            [sys.executable, str(GUIDED)], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip

    def js(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def until(self, line):
        """The value of the expression once it is true."""
        end = time.monotonic() + PATIENCE
        while not (value := self.js(line)):
            assert time.monotonic() < end, line
            time.sleep(0.2)
        return value

    def press(self, text):
        buttons = "[...document.querySelectorAll('button')]"
        find = f"{buttons}.find(b => b.textContent.includes({text!r}))"
        self.until(f"!!{find}")
        # Later, as the page waits for a dialog and this call must not.
        self.js(f"setTimeout(() => {find}.click()), 1")

    def xdotool(self, *arguments):
        return subprocess.run(
            ["xdotool", *arguments], env=self.environment, text=True, capture_output=True
        ).stdout.split()

    def answer(self, title, text):
        """Types into the dialog of this title and confirms."""
        end = time.monotonic() + PATIENCE
        while not (found := self.xdotool("search", "--onlyvisible", "--name", title)):
            assert time.monotonic() < end, title
            time.sleep(0.2)
        # Without a window manager nobody else gives it the keyboard.
        self.xdotool("windowfocus", "--sync", found[-1])
        self.xdotool("key", "ctrl+a")
        self.xdotool("type", "--delay", "5", text)
        self.xdotool("key", "Return")

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def guide(environment, tmp_path):
    with open(tmp_path / "log.txt", "w") as log:
        guide = Guide(environment, log)
        yield guide
        if guide.process.poll() is None:
            guide.kill()


def shot(environment, file):
    """What is on the screen, for people; FACECCTV_SHOTS names the folder."""
    from PIL import ImageGrab

    if folder := os.environ.get("FACECCTV_SHOTS"):
        ImageGrab.grab(xdisplay=environment["DISPLAY"]).save(Path(folder) / file)


def test_a_picture_is_opened_examined_and_saved(guide, environment, tmp_path):
    (tmp_path / "portrait.jpg").write_bytes(
        encode(resize(skimage.data.astronaut(), 320, 320), "jpeg")
    )
    guide.until("!!document.querySelector('[data-testid=drop]')")
    assert guide.js("sessionStorage.getItem('facecctv.desktop')") == "window"
    # The ticket is spent and nowhere to be seen.
    assert guide.js("location.pathname + location.search") == "/"
    shot(environment, "home.png")

    guide.press("Choose pictures")
    guide.answer("Open", str(tmp_path / "portrait.jpg"))
    guide.until("document.querySelectorAll('[data-testid=card]').length")
    shot(environment, "examined.png")

    guide.press("Save all")
    guide.press("ZIP with")
    shot(environment, "saving.png")
    guide.answer("Save", str(tmp_path / "faces.zip"))
    end = time.monotonic() + PATIENCE
    while not (tmp_path / "faces.zip").exists():
        assert time.monotonic() < end
        time.sleep(0.2)
    with zipfile.ZipFile(tmp_path / "faces.zip") as saved:
        record = json.loads(saved.read("portrait-result.json"))
        assert saved.testzip() is None
    assert record["result"]["faces"]
    assert any(name.startswith("portrait-face-") for name in record["files"])
    guide.close()
    remembered = (tmp_path / "home" / "facecctv" / "desktop.json").read_text()
    assert "portrait" not in remembered
    assert set(json.loads(remembered)) == {"settings", "window"}
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "faces.zip", "home", "log.txt", "portrait.jpg"
    ]  # fmt: skip


def test_files_dropped_on_the_page_are_examined(guide):
    guide.until("!!document.querySelector('[data-testid=drop]')")
    picture = encode(resize(skimage.data.astronaut(), 320, 320), "jpeg")
    guide.js(
        f"const bytes = new Uint8Array({list(picture)}); const carried = new DataTransfer(); "
        "carried.items.add(new File([bytes], 'a.jpg', {type: 'image/jpeg'})); "
        "dispatchEvent(new DragEvent('drop', {dataTransfer: carried, cancelable: true})); 1"
    )
    guide.until("document.querySelectorAll('[data-testid=card]').length")


def test_settings_and_size_come_back(environment, tmp_path):
    with open(tmp_path / "log.txt", "w") as log:
        first = Guide(environment, log)
        first.until("!!document.querySelector('[data-testid=drop]')")
        window = first.xdotool("search", "--onlyvisible", "--name", "^FaceCCTV$")[-1]
        first.xdotool("windowsize", window, "900", "700")
        first.js("fetch('/desktop/settings', {method: 'PUT', body: '{\"theme\": \"dark\"}'}); 1")
        first.until("innerWidth <= 900")
        first.close()
        second = Guide(environment, log)
        second.until("document.documentElement.classList.contains('dark')")
        assert second.js("innerWidth") <= 900
        second.close()
    kept = json.loads((tmp_path / "home" / "facecctv" / "desktop.json").read_text())
    assert (kept["window"]["width"], kept["window"]["height"]) == (900, 700)


def test_check_says_that_there_can_be_a_window(environment):
    command = [sys.executable, "-m", "facecctv", "app", "--check"]
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "A window can be opened here.\n"


def test_check_fails_where_qt_would_end_the_process(environment):
    command = [sys.executable, "-m", "facecctv", "app", "--check"]
    nowhere = environment | {"DISPLAY": ":4242"}
    done = subprocess.run(command, env=nowhere, text=True, capture_output=True)
    assert done.returncode != 0
