"""`facecctv doctor`."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facecctv import __version__
from facecctv.cli import options
from facecctv.errors import FaceCCTVError, ModelError, SettingError
from facecctv.settings import Settings

if TYPE_CHECKING:
    from facecctv.pipeline import Detect
    from facecctv.types import Image

LIBRARIES = {
    "numpy": "numpy",
    "opencv-python-headless": "cv2",
    "onnxruntime": "onnxruntime",
    "pillow": "PIL.Image",
    "av": "av",
    "pydantic": "pydantic",
    "typer": "typer",
    "rich": "rich",
    "platformdirs": "platformdirs",
}
"""What `pip install facecctv` brings -> the module that shows that it works."""

EXTRAS = {
    "demo": ("skimage",),
    "serve": ("fastapi", "uvicorn", "python_multipart", "cryptography"),
    "desktop": ("webview",),
    "identity": ("cryptography", "lancedb", "sklearn"),
    "mqtt": ("paho",),
    "learn": ("torch", "keras", "albumentations", "sklearn", "pandas", "matplotlib"),
}

_REINSTALL = "pip install --force-reinstall facecctv"
_DEMO_ADVICE = "to try it on a real face: pip install 'facecctv[demo]'"
_LOW = 0.1
"""Threshold of the self-test: whether the face is found at all, not how surely."""
_ROUNDS = 7
_VGA = (480, 640)


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    state: Literal["ok", "note", "broken"]
    detail: str
    advice: str = ""
    """What to do about it."""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Check in seconds that everything works here.

    Loads every library and model, looks at a picture made by code and measures how long that takes.
    The exit status is 1 if something is broken.
    """
    checks = []
    for check in _checks():
        checks.append(check)
        if not as_json:
            _print(check)
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        facts = [{k: v for k, v in asdict(check).items() if v} for check in checks]
        print(json.dumps({"version": __version__, "ok": not broken, "checks": facts}))
    else:
        print(f"\n{len(broken)} broken" if broken else "\nEverything works.")
    return int(bool(broken))


def _print(check: Check) -> None:
    mark = {"ok": "ok    ", "note": "note  ", "broken": "BROKEN"}[check.state]
    print(f"{mark}  {check.name:<24}{check.detail}", flush=True)
    if check.advice:
        print(f"{'':<32}{check.advice}", flush=True)


def _checks() -> Iterator[Check]:
    yield Check("facecctv", "ok", __version__)
    yield _python()
    libraries = [_library(package, module) for package, module in LIBRARIES.items()]
    yield from libraries
    if any(check.state == "broken" for check in libraries):
        return  # what follows would only repeat it
    yield from _guarded("settings", _settings)
    try:
        settings = options.environment()
    except FaceCCTVError:
        return
    yield from _guarded("providers", lambda: _providers(settings))
    yield from _guarded("models", lambda: _models(settings))
    yield from _guarded("detection", lambda: _detection(settings))
    yield _memory()
    yield _cache()
    yield from (_extra(name, modules) for name, modules in EXTRAS.items())


def _guarded(name: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """A check that cannot even be made is broken, and the next ones go on."""
    try:
        yield from checks()
    except Exception as error:  # noqa: BLE001 - whatever fails is what this command is to report
        kind = "" if isinstance(error, FaceCCTVError) else f"{type(error).__name__}: "
        yield Check(name, "broken", kind + " ".join(str(error).split()), _advice(error))


def _advice(error: Exception) -> str:
    if isinstance(error, SettingError):
        return "unset or correct that environment variable"
    if isinstance(error, ModelError):
        return f"get the model files again: {_REINSTALL}"
    return f"please report it; meanwhile try: {_REINSTALL}"


def _python() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    where = f"{platform.system()} {platform.release()}, {platform.machine()}, {cores} cores"
    return Check("python", "ok", f"{platform.python_version()} on {where}")


def _library(package: str, module: str) -> Check:
    try:
        # Only what stands in for a library in a bundled program has it (packaging/).
        left_out = getattr(import_module(module), "LEFT_OUT", "")
        return (
            Check(package, "note", left_out) if left_out else Check(package, "ok", version(package))
        )
    except PackageNotFoundError:
        return Check(package, "note", "there, but not installed by pip: its version is unknown")
    except (ImportError, OSError) as error:
        return Check(package, "broken", " ".join(str(error).split()), f"pip install {package}")


def _settings() -> Iterator[Check]:
    options.environment()
    names = sorted(name for name in os.environ if name.startswith("FACECCTV_"))
    yield Check("settings", "ok", ", ".join(f"{n}={os.environ[n]}" for n in names) or "defaults")


def _providers(settings: Settings) -> Iterator[Check]:
    from facecctv import build
    from facecctv.models.session import available_providers, physical_cores

    session = build.session(settings, build.FACE_DETECTOR)
    threads = settings.threads or physical_cores() or "all"
    present = ", ".join(available_providers())
    detail = f"{session.provider} runs, on {threads} threads (there: {present})"
    yield Check("providers", "ok", detail)


def _models(settings: Settings) -> Iterator[Check]:
    from facecctv import build

    entries = build.store(settings).verify()
    if not any(entry.origin == "shipped" for entry in entries):
        yield Check("models", "broken", "no model came with this package", _REINSTALL)
    for entry in entries:
        name = f"model {entry.name}"
        if entry.error:
            shipped = entry.origin == "shipped"
            advice = _REINSTALL if shipped else f"replace or delete {entry.path}"
            yield Check(name, "broken", f"{entry.origin}: {entry.error}", advice)
        elif entry.state == "unknown" and entry.origin == "shipped":
            yield Check(name, "broken", "shipped, but on no record", _REINSTALL)
        elif entry.origin == "shipped":
            session = build.session(settings, str(entry.path))
            size = f"{entry.size / 1e6:.1f} MB"
            loaded = f"loaded in {session.load_seconds * 1000:.0f} ms"
            yield Check(name, "ok", f"{session.card.version}, {size}, verified, {loaded}")
        else:
            yield Check(name, "ok", f"{entry.origin}, {entry.state}")


def _detection(settings: Settings) -> Iterator[Check]:
    import numpy as np

    from facecctv import build
    from facecctv.image.sizes import resize
    from facecctv.vision.detect import DetectOptions

    detector = build.detector(settings, DetectOptions(threshold=_LOW))
    if find_spec("skimage"):
        image, check = _demo(detector)
        yield check
    else:
        image = np.full((*_VGA, 3), 128, np.uint8)
        yield Check(
            "detection", "note", f"{len(detector(image))} faces in a grey picture", _DEMO_ADVICE
        )
    vga = resize(image, _VGA[1], _VGA[0])
    seconds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        detector(vga)
        seconds.append(time.perf_counter() - began)
    speed = f"{statistics.median(seconds) * 1000:.0f} ms for a picture of 640 x 480"
    yield Check("speed", "ok", f"{speed} (fastest {min(seconds) * 1000:.0f})")


def _demo(detect: Detect) -> tuple[Image, Check]:
    """The demo scene, and whether its largest face is found."""
    import numpy as np

    from facecctv.demo import demo_scene
    from facecctv.geometry import iou

    scene = demo_scene()
    largest = max(scene.faces, key=lambda face: face.height)
    found = [face.box for face in detect(scene.image)]
    best = iou(np.reshape(found, (-1, 4)), largest.box[None]).max(initial=0)
    place = f"of {largest.height:.0f} px in the demo scene"
    if best >= 0.5:
        return scene.image, Check("detection", "ok", f"finds the face {place}")
    return scene.image, Check("detection", "broken", f"misses the face {place}", _REINSTALL)


def _memory() -> Check:
    try:
        import resource
    except ImportError:  # Windows has no such count.
        return Check("memory", "note", "not measured on this system")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kilobytes, macOS bytes.
    megabytes = peak / (2**20 if sys.platform == "darwin" else 2**10)
    return Check("memory", "ok", f"{megabytes:.0f} MB at most during these checks")


def _cache() -> Check:
    import platformdirs

    cache = Path(platformdirs.user_cache_dir("facecctv", appauthor=False), "models")
    there = next(path for path in (cache, *cache.parents) if path.exists())
    if there.is_dir() and os.access(there, os.W_OK):
        return Check("cache", "ok", str(cache))
    advice = "only `models fetch` needs it: make it writable, or set XDG_CACHE_HOME"
    return Check("cache", "note", f"{cache} cannot be written", advice)


def _extra(name: str, modules: tuple[str, ...]) -> Check:
    missing = [module for module in modules if find_spec(module) is None]
    if not missing:
        return Check(f"extra {name}", "ok", "installed")
    detail = f"not installed (no {', '.join(missing)})"
    return Check(f"extra {name}", "note", detail, f"if you need it: pip install 'facecctv[{name}]'")
