"""Public models that can be fetched: where they are, what they must be, what their licence allows.

A catalogue is a TOML file of `[[model]]` tables; catalogue.toml in this folder documents the form.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facecctv.errors import ModelError, ModelNotFound
from facecctv.models.card import NAME, one_line

SHIPPED_CATALOGUE = Path(__file__).with_name("catalogue.toml")


class Offer(BaseModel):
    """One model that can be fetched."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=NAME)
    url: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(gt=0)
    """Bytes, exactly."""
    licence: str = Field(min_length=1)
    """Of the weights, as an SPDX identifier where there is one."""
    commercial_use: bool
    purpose: str


class Catalogue:
    """Offers by name; of two offers with one name the later replaces the earlier."""

    def __init__(self, offers: tuple[Offer, ...] = ()) -> None:
        self._offers = {offer.name: offer for offer in offers}

    @classmethod
    def read(cls, *paths: Path) -> Catalogue:
        """Reads the shipped catalogue, then the files given; raises ModelError on a bad one."""
        return cls(tuple(offer for path in (SHIPPED_CATALOGUE, *paths) for offer in _read(path)))

    def __iter__(self) -> Iterator[Offer]:
        return iter(self._offers.values())

    def __getitem__(self, name: str) -> Offer:
        """Returns the offer; raises ModelNotFound when there is none of that name."""
        if name not in self._offers:
            known = ", ".join(self._offers) or "none"
            raise ModelNotFound(f"no model {name!r} in the catalogue (known: {known})")
        return self._offers[name]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: tuple[Offer, ...] = ()


def _read(path: Path) -> tuple[Offer, ...]:
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).model
    except OSError as error:
        raise ModelError(f"cannot read the catalogue {path}: {error.strerror}") from error
    except ValidationError as error:
        raise ModelError(f"catalogue {path}: {one_line(error)}") from error
    except ValueError as error:
        raise ModelError(f"catalogue {path} is not TOML: {error}") from error
