"""Settings from the environment. Only the doors read it; the library takes arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from facecctv.errors import SettingError

_YES = {"1", "true", "yes", "on"}
_NO = {"0", "false", "no", "off"}


@dataclass(frozen=True)
class Settings:
    """None leaves the choice to the library's own default."""

    models: Path | None = None
    """FACECCTV_MODELS: folder searched for models before the shipped ones."""
    threads: int | None = None
    """FACECCTV_THREADS: of the inference engine, at least 1."""
    provider: str | None = None
    """FACECCTV_PROVIDER: execution provider of ONNX Runtime, such as cpu or cuda; lower case."""
    max_pixels: int | None = None
    """FACECCTV_MAX_PIXELS: of one picture."""
    max_bytes: int | None = None
    """FACECCTV_MAX_BYTES: of one picture file."""
    offline: bool = False
    """FACECCTV_OFFLINE: refuse whatever would need the network."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Reads the FACECCTV_ variables of a mapping such as os.environ; an empty one is unset.

        Raises SettingError, naming the variable, for a value that makes no sense.
        """
        models = _text(environment, "FACECCTV_MODELS")
        provider = _text(environment, "FACECCTV_PROVIDER")
        return cls(
            models=Path(models).expanduser() if models else None,
            threads=_count(environment, "FACECCTV_THREADS"),
            provider=provider.lower() if provider else None,
            max_pixels=_count(environment, "FACECCTV_MAX_PIXELS"),
            max_bytes=_count(environment, "FACECCTV_MAX_BYTES"),
            offline=_flag(environment, "FACECCTV_OFFLINE"),
        )


def _text(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(name, "").strip() or None


def _count(environment: Mapping[str, str], name: str) -> int | None:
    text = _text(environment, name)
    if text is None:
        return None
    # int() alone would also take "+1", "1_0" and digits of other scripts.
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise SettingError(f"{name} must be a whole number of at least 1, not {text!r}")
    return int(text)


def _flag(environment: Mapping[str, str], name: str) -> bool:
    text = _text(environment, name)
    if text is None or text.lower() in _NO:
        return False
    if text.lower() in _YES:
        return True
    raise SettingError(f"{name} must be 1 or 0 (or true, yes, on; false, no, off), not {text!r}")
