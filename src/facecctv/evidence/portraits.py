"""What was done to one face of a picture, as steps from the picture on."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from facecctv.evidence.steps import Step
from facecctv.types import Coloured, Crop, Enhanced, Origin


def enhanced_steps(crop: Crop, made: Enhanced) -> tuple[Step, ...]:
    """By which an enhanced face comes of its picture."""
    facts: dict[str, JsonValue] = {
        "scale": made.scale,
        "strength": made.strength,
        "luminance": "on" if made.luminance_only else "off",
    }
    enhance = _modelled("enhance", made.origin, facts)
    if made.seen is None:
        return _cropped(crop.area), enhance
    left, top = made.seen[:2]
    x1, y1, x2, y2 = crop.area
    sides = (x1 - left, y1 - top, x2 - left, y2 - top)
    within = tuple(side * made.scale for side in sides)
    return _cropped(made.seen), enhance, _cropped(within)


def coloured_steps(crop: Crop, made: Coloured, enhanced: Enhanced | None) -> tuple[Step, ...]:
    """By which a coloured face comes of its picture; `enhanced` is the face as it was enhanced."""
    facts: dict[str, JsonValue] = {"saturation": made.saturation, "force": True}
    before: tuple[Step, ...] = (_cropped(crop.area),)
    if made.of == "enhanced" and enhanced is not None:
        before = enhanced_steps(crop, enhanced)
    return *before, _modelled("colourise", made.origin, facts)


def _cropped(area: Sequence[int]) -> Step:
    x1, y1, x2, y2 = area
    place: dict[str, JsonValue] = {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}
    return Step(name="crop", step_class="geometric", parameters=place)


def _modelled(name: str, origin: Origin, parameters: dict[str, JsonValue]) -> Step:
    return Step(
        name=name,
        step_class=origin.step,
        parameters=parameters,
        model=origin.model,
        model_version=origin.version,
        model_sha256=origin.sha256,
    )
