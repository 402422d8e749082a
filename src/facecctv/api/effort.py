"""How much work a chain of steps is, before any of it is done."""

from __future__ import annotations

from facecctv.api.limits import ServerLimits
from facecctv.api.problems import Problem
from facecctv.errors import ImageError, LimitError
from facecctv.evidence.steps import Chain
from facecctv.vision.filters import Deblur, Denoise, Filter


def pixels_of(chain: Chain, width: int, height: int) -> int:
    """Pixels of the largest picture on the way through the chain, the first one included.

    For a picture that a step cannot be done to, those of the picture: it is refused soon.
    """
    most = width * height
    for step in chain.steps:
        try:
            width, height = step.size_after(width, height)
        except ImageError:
            break
        most = max(most, width * height)
    return most


def check_effort(chain: Chain, width: int, height: int, limits: ServerLimits) -> None:
    """Raises Problem 413 where a step makes too large a picture or takes too long for one of this
    size, 422 where a step cannot be done to it.
    """
    try:
        chain.size_after(width, height, limits.max_output_pixels)
    except LimitError as error:
        raise Problem(413, str(error), reason="output-too-large") from error
    except ImageError as error:
        raise Problem(422, str(error), reason="option") from error
    for step in chain.steps:
        if isinstance(step, Filter):
            most = int(limits.max_filter_pixels / _slowness(step))
            if width * height > most:
                detail = f"{step.name} of these settings takes {most:,} pixels at most"
                raise Problem(413, detail, reason="output-too-large")
        width, height = step.size_after(width, height)


def _slowness(step: Filter) -> float:
    """Times that a filter takes longer than at its default settings; at least 1.

    A filter cannot be stopped half-way, so it may not occupy a thread for minutes.
    """
    match step:
        case Denoise():
            usual = Denoise()
            area = (step.window * step.patch) ** 2 / (usual.window * usual.patch) ** 2
            return max(1.0, area)
        case Deblur(method="richardson-lucy"):
            return max(1.0, step.iterations / Deblur().iterations)
        case _:
            return 1.0
