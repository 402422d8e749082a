"""Pictures for people to look at: faces outlined with labels, and contact sheets.

Nothing here measures anything. Text is drawn with the typefaces inside OpenCV 5, so no font has to
be installed; they cover Latin, Greek, Cyrillic and Chinese characters, others show as "?".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from facecctv.geometry import clip_boxes
from facecctv.image.sizes import resize
from facecctv.types import Body, Face, Floats, Image, check_image

Colour: TypeAlias = tuple[int, int, int]
"""Red, green, blue, 0..255."""

GREEN: Colour = (64, 220, 130)
AMBER: Colour = (255, 190, 60)
RED: Colour = (255, 92, 84)
BLUE: Colour = (90, 170, 255)
GREY: Colour = (160, 166, 176)

_BLACK: Colour = (0, 0, 0)
_PLATE: Colour = (18, 20, 24)
_TEXT: Colour = (244, 246, 248)
_SHEET: Colour = (22, 24, 28)
_CARD: Colour = (36, 39, 45)
_WELL: Colour = (28, 30, 35)
_DIM: Colour = (168, 174, 184)
_HALO_OPACITY = 0.6
_PLATE_OPACITY = 0.84

_SMALLEST_TEXT = 12
_PICTURE_SIDE_PER_LINE = 480
_PICTURE_SIDE_PER_TEXT = 48
_FACE_WIDTH_PER_DOT = 30
_CAPITALS = 0.7
_REGULAR, _BOLD = 400, 600

_Area: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels; right and bottom exclusive."""


def outline(
    image: Image,
    marked: Sequence[Face | Body],
    labels: Sequence[str] = (),
    colours: Sequence[Colour] = (),
) -> Image:
    """A copy of the picture with faces outlined, the corners of bodies marked, and labels.

    `labels` and `colours` are empty or one for each; an empty label draws none. Lines and text
    scale with the picture and have a dark rim, so they show on any ground. A label stands where
    it covers no face and no other label if there is such a place next to its box, and never
    leaves the picture. Landmarks are dotted on faces large enough to bear it.
    Raises ValueError if there are labels or colours, but not as many as boxes.
    """
    check_image(image)
    for name, values in (("labels", labels), ("colours", colours)):
        if len(values) not in (0, len(marked)):
            raise ValueError(f"{len(values)} {name} for {len(marked)} boxes")
    tints = list(colours) or [GREEN if isinstance(one, Face) else BLUE for one in marked]
    side = math.sqrt(image.shape[0] * image.shape[1])
    line = max(1, round(side / _PICTURE_SIDE_PER_LINE))
    canvas = image.copy()
    for one, tint in zip(marked, tints, strict=True):
        if isinstance(one, Face):
            _dots(canvas, one, tint, line)
    frames = [_frame(one.box, image, line) for one in marked]
    rim = 1 + line // 3
    drawers = [_ring if isinstance(one, Face) else _corners for one in marked]
    for frame, drawn in zip(frames, drawers, strict=True):
        drawn(canvas, _grown(frame, rim), line + rim, _BLACK, _HALO_OPACITY)
    for frame, drawn, tint in zip(frames, drawers, tints, strict=True):
        drawn(canvas, frame, line, tint, 1)
    if labels:
        _label_all(canvas, frames, labels, tints, side)
    return canvas


def _dots(canvas: Image, face: Face, tint: Colour, line: int) -> None:
    radius = max(1.0, 0.9 * line)
    if face.width < _FACE_WIDTH_PER_DOT * radius:
        return
    # OpenCV counts in sixteenths here, from the centre of the first pixel.
    for x, y in (face.landmarks - 0.5) * 16:
        at = (round(float(x)), round(float(y)))
        for colour, reach in ((_BLACK, radius + 0.3 + 0.3 * line), (tint, radius)):
            cv2.circle(canvas, at, round(reach * 16), colour, cv2.FILLED, cv2.LINE_AA, 4)


def _frame(box: Floats, image: Image, line: int) -> _Area:
    """The outline with its line: around the box, so that it hides nothing in it."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = clip_boxes(box[None], width, height)[0].tolist()
    left, top = max(math.floor(x1) - line, 0), max(math.floor(y1) - line, 0)
    right, bottom = min(math.ceil(x2) + line, width), min(math.ceil(y2) + line, height)
    return min(left, width - 1), min(top, height - 1), max(right, 1), max(bottom, 1)


def _grown(area: _Area, by: int) -> _Area:
    return area[0] - by, area[1] - by, area[2] + by, area[3] + by


def _ring(canvas: Image, area: _Area, line: int, colour: Colour, opacity: float) -> None:
    left, top, right, bottom = area
    under = min(top + line, bottom)
    above = max(bottom - line, under)
    bands = [(left, top, right, under), (left, above, right, bottom)]
    bands += [(left, under, min(left + line, right), above)]
    bands += [(max(right - line, left + line), under, right, above)]
    for band in bands:
        _cover(canvas, band, colour, opacity)


def _corners(canvas: Image, area: _Area, line: int, colour: Colour, opacity: float) -> None:
    """The ring without the middle halves of its sides."""
    left, top, right, bottom = area
    arms = (max((right - left) // 4, line), max((bottom - top) // 4, line))
    for x1, x2, outer in ((left, left + arms[0], left), (right - arms[0], right, right - line)):
        _cover(canvas, (x1, top, x2, top + line), colour, opacity)
        _cover(canvas, (x1, bottom - line, x2, bottom), colour, opacity)
        _cover(canvas, (outer, top + line, outer + line, top + arms[1]), colour, opacity)
        low = max(bottom - arms[1], top + arms[1], top + line)
        _cover(canvas, (outer, low, outer + line, bottom - line), colour, opacity)


def _cover(canvas: Image, area: _Area, colour: Colour, opacity: float = 1) -> None:
    left, top, right, bottom = (max(0, value) for value in area)
    part = canvas[top:bottom, left:right]
    part[:] = np.rint(part * (1 - opacity) + np.array(colour) * opacity)


class _Type:
    """Text on a picture: measured, cut to fit, drawn."""

    def __init__(self) -> None:
        self._face = cv2.FontFace("sans")

    def width(self, text: str, size: int, weight: int = _REGULAR) -> int:
        left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), self._face, size, weight)
        return int(left + width) if text else 0

    def fitted(self, text: str, size: int, width: float, weight: int = _REGULAR) -> str:
        """The text on one line, ending in an ellipsis where it is wider than `width`."""
        whole = _clean(text)
        if self.width(whole, size, weight) <= width:
            return whole
        fits, cut = 0, len(whole)
        while fits < cut:
            middle = (fits + cut + 1) // 2
            if self.width(whole[:middle].rstrip() + "…", size, weight) <= width:
                fits = middle
            else:
                cut = middle - 1
        return whole[:fits].rstrip() + "…" if fits else ""

    def draw(
        self,
        canvas: Image,
        text: str,
        left: int,
        middle: float,
        size: int,
        colour: Colour,
        weight: int = _REGULAR,
    ) -> None:
        """Starts at `left`; capitals are centred on the height `middle`."""
        if text:
            baseline = round(middle + _CAPITALS * size / 2)
            cv2.putText(canvas, text, (left, baseline), colour, self._face, size, weight)


def _clean(text: str) -> str:
    """One line of a length worth measuring, without what OpenCV cannot draw.

    A half character (a lone surrogate, as in file names that are not UTF-8) would crash it.
    """
    visible = "".join(c if c.isprintable() else " " for c in text[:500])
    return " ".join(visible.split())


def _label_all(
    canvas: Image,
    frames: Sequence[_Area],
    labels: Sequence[str],
    tints: Sequence[Colour],
    side: float,
) -> None:
    height, width = canvas.shape[:2]
    largest = max(_SMALLEST_TEXT, round(side / _PICTURE_SIDE_PER_TEXT))
    placed: list[_Area] = []
    pen = _Type()
    for frame, label, tint in zip(frames, labels, tints, strict=True):
        # Small faces get smaller text, though not below what is legible at this picture's scale.
        wanted = round(0.3 * (frame[2] - frame[0]))
        size = min(max(wanted, round(0.6 * largest), _SMALLEST_TEXT), largest)
        pad = max(2, size // 5)
        text = pen.fitted(label, size, width - 4 * pad)
        plate = (pen.width(text, size) + 4 * pad, round(_CAPITALS * size) + 4 * pad)
        if not text or plate[0] > width or plate[1] > height:
            continue
        area = _best_place(frame, plate, (width, height), frames, placed)
        placed.append(area)
        _cover(canvas, area, _PLATE, _PLATE_OPACITY)
        _cover(canvas, (area[0], area[1], area[0] + max(1, pad // 2), area[3]), tint)
        pen.draw(canvas, text, area[0] + 2 * pad, (area[1] + area[3]) / 2, size, _TEXT)


def _best_place(
    frame: _Area,
    plate: tuple[int, int],
    picture: tuple[int, int],
    frames: Sequence[_Area],
    placed: Sequence[_Area],
) -> _Area:
    """The place near the frame that hides least; of equal ones the first in reading order."""
    (left, top, right, bottom), (width, height) = frame, plate
    centre = (left + right - width) // 2
    above, below = top - height - 1, bottom + 2
    corners = [(left, above), (right - width, above), (left, below), (right - width, below)]
    corners += [(centre, above), (centre, below)]
    corners += [(right + 2, top), (left - width - 2, top)]
    corners += [(right + 2, bottom - height), (left - width - 2, bottom - height)]
    corners += [(left, above - height - 1), (left, below + height + 1)]

    def cost(area: _Area) -> float:
        hidden = sum(_shared(area, other) for other in frames)
        return hidden + 2 * sum(_shared(area, other) for other in placed)

    areas = []
    for x, y in corners:
        x, y = max(0, min(x, picture[0] - width)), max(0, min(y, picture[1] - height))
        areas.append((x, y, x + width, y + height))
    return min(areas, key=cost)


def _shared(a: _Area, b: _Area) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


@dataclass(frozen=True, eq=False)
class Cell:
    """One card of a contact sheet."""

    image: Image
    """(h, w, 3) uint8 RGB, any size; shown whole."""
    title: str
    lines: tuple[str, ...] = ()
    """Up to three are meant; each is cut to the card's width."""
    colour: Colour = GREY
    """Of the bar above the picture."""

    def __post_init__(self) -> None:
        check_image(self.image)


def contact_sheet(
    cells: Sequence[Cell],
    columns: int | None = None,
    side: int = 220,
    empty: str = "No faces found",
) -> Image:
    """All cells as cards on a dark ground, in reading order.

    Each picture is scaled to fit a square of `side` pixels, never cropped. Without `columns` the
    sheet is somewhat wider than high, six cards at most. Without cells it says `empty`. The sheet
    grows with the number of cells: split hundreds over several sheets.
    Raises ValueError if columns < 1 or side < 60.
    """
    if side < 60 or (columns is not None and columns < 1):
        raise ValueError(f"columns must be at least 1 and side at least 60: {columns}, {side}")
    across = columns or min(6, max(1, math.ceil(math.sqrt(1.3 * len(cells)))))
    across = max(1, min(across, len(cells)))
    look = _Look(side, max((len(cell.lines) for cell in cells), default=0))
    down = max(1, math.ceil(len(cells) / across))
    gap, (width, height) = look.gap, look.card
    sheet = np.empty((gap + down * (height + gap), gap + across * (width + gap), 3), np.uint8)
    sheet[:] = _SHEET
    pen = _Type()
    if not cells:
        text = pen.fitted(empty, look.title, width)
        left = (sheet.shape[1] - pen.width(text, look.title)) // 2
        pen.draw(sheet, text, left, sheet.shape[0] / 2, look.title, _DIM)
    for index, cell in enumerate(cells):
        row, column = divmod(index, across)
        _card(sheet, pen, cell, gap + column * (width + gap), gap + row * (height + gap), look)
    return sheet


class _Look:
    """Measures of a sheet, all from the side of its pictures."""

    def __init__(self, side: int, lines: int) -> None:
        self.side = side
        self.gap = max(6, side // 16)
        self.pad = max(5, side // 22)
        self.mark = max(3, side // 55)
        self.title = max(_SMALLEST_TEXT, side // 13)
        self.text = max(_SMALLEST_TEXT, side // 16)
        self.title_step = round(1.6 * self.title)
        self.text_step = round(1.45 * self.text)
        words = self.title_step + lines * self.text_step
        self.card = (side + 2 * self.pad, self.mark + 3 * self.pad + side + words)


def _card(sheet: Image, pen: _Type, cell: Cell, x: int, y: int, look: _Look) -> None:
    width, height = look.card
    side, pad = look.side, look.pad
    _rounded(sheet, (x, y, x + width, y + height), pad, _CARD)
    left, top = x + pad, y + pad + look.mark
    _cover(sheet, (left, top - look.mark, left + side, top), cell.colour)
    _cover(sheet, (left, top, left + side, top + side), _WELL)
    rows, columns = cell.image.shape[:2]
    scale = side / max(rows, columns)
    fitted = resize(cell.image, max(1, round(columns * scale)), max(1, round(rows * scale)))
    px, py = left + (side - fitted.shape[1]) // 2, top + (side - fitted.shape[0]) // 2
    sheet[py : py + fitted.shape[0], px : px + fitted.shape[1]] = fitted
    words = top + side + pad
    title = pen.fitted(cell.title, look.title, side, _BOLD)
    pen.draw(sheet, title, left, words + look.title_step / 2, look.title, _TEXT, _BOLD)
    words += look.title_step
    for line in cell.lines:
        text = pen.fitted(line, look.text, side)
        pen.draw(sheet, text, left, words + look.text_step / 2, look.text, _DIM)
        words += look.text_step


def _rounded(canvas: Image, area: _Area, radius: int, colour: Colour) -> None:
    left, top, right, bottom = area
    _cover(canvas, (left + radius, top, right - radius, bottom), colour)
    _cover(canvas, (left, top + radius, right, bottom - radius), colour)
    # In half pixels, because the middle of a corner lies between two.
    for x in (2 * (left + radius) - 1, 2 * (right - radius) - 1):
        for y in (2 * (top + radius) - 1, 2 * (bottom - radius) - 1):
            cv2.circle(canvas, (x, y), 2 * radius - 1, colour, cv2.FILLED, cv2.LINE_AA, 1)
