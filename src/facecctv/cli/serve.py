"""`facecctv serve`."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecctv.cli import listed, people
from facecctv.cli.loopback import is_loopback
from facecctv.errors import MissingExtra, SettingError
from facecctv.identity.calibrate import RATE

if TYPE_CHECKING:
    import ssl

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_STARTED_AGAIN = "FACECCTV_TLS_LIMITED"


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8000,
    tls: Annotated[
        str,
        typer.Option(
            help="auto (own authority and certificate), CERT,KEY (files), or off (loopback "
            "only). By default off on loopback and auto elsewhere.",
            show_default=False,
        ),
    ] = "",
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="Another name or address that clients use; may be repeated."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", help="Web site whose pages may use the API; may be repeated."),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with hashed API keys; then a key is needed.")
    ] = None,
    new_key: Annotated[
        str,
        typer.Option(metavar="NAME", help="Make a key, add it to --api-key-file, print it, end."),
    ] = "",
    max_bytes: Annotated[
        int | None, typer.Option(min=1, help="Of one picture file.", show_default=False)
    ] = None,
    max_pixels: Annotated[
        int | None, typer.Option(min=1, help="Of one picture.", show_default=False)
    ] = None,
    max_video_bytes: Annotated[
        int | None, typer.Option(min=1, help="Of one video file.", show_default=False)
    ] = None,
    video_bytes: Annotated[
        int | None,
        typer.Option(min=1, help="Of memory, for all videos together.", show_default=False),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=0, help="Of one client; 0: no limit.", show_default=False)
    ] = None,
    watchlist: listed.WatchlistFile = None,
    key_file: people.KeyFile = None,
    rate: people.Rate = RATE,
    calibration: people.CalibrationFile = None,
    enrol_days: listed.EnrolDays = None,
    enrol_purpose: listed.EnrolPurpose = "",
    enrol_owner: listed.EnrolOwner = "",
) -> None:
    """Serve the REST API and the web app.

    Pictures stay in memory for the time of one request, videos for the life of a job. Plain HTTP
    is for this machine only; anything else is TLS 1.3. A watch-list is searched, and every search
    written to its log (LIST.log); beyond this machine that needs API keys.
    """
    _check_extra()
    if new_key:
        _make_key(api_key_file, new_key)
        return
    encrypted = _encrypted(tls, host)
    known = listed.Listed(
        watchlist, key_file, rate, calibration, enrol_days, enrol_purpose, enrol_owner
    )
    known.check(keys=api_key_file is not None or is_loopback(host))
    if encrypted:
        _start_limited()
    _serve(
        host, port, tls if encrypted else "off", tuple(name or ()), tuple(origin or ()),
        api_key_file,
        {
            "max_bytes": max_bytes,
            "max_pixels": max_pixels,
            "max_video_bytes": max_video_bytes,
            "video_bytes": video_bytes,
            "requests_per_minute": requests_per_minute,
        },
        known,
    )  # fmt: skip


def _check_extra() -> None:
    for package in ("fastapi", "uvicorn", "python_multipart", "cryptography"):
        if find_spec(package) is None:
            raise MissingExtra("serving needs more packages: pip install 'facecctv[serve]'")


def _make_key(path: Path | None, name: str) -> None:
    from facecctv.api.security import new_key

    if path is None:
        raise typer.BadParameter("--new-key needs --api-key-file")
    print(new_key(path, name))


def _encrypted(tls: str, host: str) -> bool:
    """Raises SettingError for plain HTTP beyond this machine."""
    local = is_loopback(host)
    if tls == "off" and not local:
        raise SettingError(f"plain HTTP is for loopback addresses only, not {host}: --tls auto")
    return tls != "off" and (bool(tls) or not local)


def _start_limited() -> None:
    """Starts this process anew where only that limits OpenSSL to the suites we speak."""
    from facecctv.api.tls import OPENSSL_CONF, limited

    if limited():
        return
    if os.environ.get(_STARTED_AGAIN):
        raise SettingError("this Python's OpenSSL does not follow OPENSSL_CONF: no TLS with it")
    environment = os.environ | {"OPENSSL_CONF": str(OPENSSL_CONF), _STARTED_AGAIN: "1"}
    own = [] if getattr(sys, "frozen", False) else ["-m", "facecctv"]  # a bundle is the program
    command = [sys.executable, *own, *sys.argv[1:]]
    sys.stdout.flush()
    if os.name == "nt":  # where exec leaves the console to two processes
        raise typer.Exit(subprocess.call(command, env=environment))  # noqa: S603
    os.execve(sys.executable, command, environment)  # noqa: S606


def _serve(
    host: str,
    port: int,
    tls: str,
    names: tuple[str, ...],
    origins: tuple[str, ...],
    key_file: Path | None,
    given: dict[str, int | None],
    known: listed.Listed,
) -> None:
    # Late: --help and --new-key do without all of it.
    from facecctv.api.app import create_app
    from facecctv.api.desk import ServerSettings
    from facecctv.api.limits import ServerLimits
    from facecctv.api.security import Keys
    from facecctv.api.server import run
    from facecctv.build import workshop
    from facecctv.settings import Settings

    settings = Settings.from_environment(os.environ)
    from_environment = {"max_bytes": settings.max_bytes, "max_pixels": settings.max_pixels}
    chosen = {k: v for k, v in (from_environment | _set(given)).items() if v is not None}
    local = is_loopback(host)
    loaded = workshop(settings)
    loaded.cards()  # a model that is missing or damaged is said now, not to the first client
    scale = known.calibrated(loaded)
    opened = known.opened(loaded)
    server_settings = ServerSettings(
        limits=ServerLimits(**chosen),
        keys=Keys.read(key_file) if key_file else Keys(),
        origins=origins,
        hosts=(*_LOCAL_NAMES, *names) if local else (),
        calibration=scale,
        watchlist=opened,
        https=tls != "off",
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    context = None if tls == "off" else _context(tls or "auto", host, names)
    scheme = "http" if context is None else "https"
    print(f"FaceCCTV at {scheme}://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    with opened or nullcontext():
        run(create_app(loaded, server_settings), host, port, context)


def _set(given: dict[str, int | None]) -> dict[str, int | None]:
    return {name: value for name, value in given.items() if value is not None}


def _context(tls: str, host: str, names: tuple[str, ...]) -> ssl.SSLContext:
    import platformdirs

    from facecctv.api.tls import Certificate, automatic, context

    if tls != "auto":
        files = tls.split(",")
        if len(files) != 2:
            raise SettingError(f"--tls is auto, off or CERT,KEY, not {tls}")
        return context(Certificate(Path(files[0]), Path(files[1])))
    folder = Path(platformdirs.user_data_dir("facecctv", appauthor=False)) / "tls"
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    hosts = (*_LOCAL_NAMES, socket.gethostname(), *(() if everywhere else (host,)), *names)
    certificate, fingerprint = automatic(folder, tuple(dict.fromkeys(hosts)))
    print(f"Authority: {folder / 'ca.pem'}\nSHA-256 {fingerprint}", flush=True)
    return context(certificate)
