"""What objects of the JSON form are built of: rounded numbers, printable text, frozen models."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def printable(text: str) -> str:
    r"""The text with bytes that are no UTF-8 (file names can hold any) written as \xNN."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _rounded(digits: int) -> AfterValidator:
    return AfterValidator(lambda value: round(value, digits))


Text = Annotated[str, BeforeValidator(printable)]
Pixels = Annotated[float, _rounded(2)]
Measure = Annotated[float, _rounded(1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0), _rounded(4)]
Rate = Annotated[float, Field(ge=0.0, le=1.0)]
"""Error rates span many powers of ten, so they keep all their digits."""
Similarity = Annotated[float, Field(ge=-1.0, le=1.0), _rounded(4)]
Component = Annotated[float, _rounded(6)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True
    )

    def to_json(self) -> str:
        """One line of JSON without the keys that were not asked for."""
        return self.model_dump_json(exclude_none=True)
