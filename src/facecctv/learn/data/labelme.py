"""labelme's JSON: one file beside each picture.

Reads what labelme 2 to 6 wrote: rectangles, polygons, circles and masks become boxes; points named
`left_eye`, `right_eye`, `nose`, `mouth_left`, `mouth_right` become the landmarks of the box with
the same group number. A picture without shapes, with the flag `no face` or with one shape of that
label holds no face. Pictures are looked for as `imagePath` says, then by its last part beside the
JSON, then by the JSON's own name, and last inside the JSON (`imageData`).

labelme draws on the upright picture since version 3.9. Labels of older versions are on the picture
as stored; where width and height give that away, they are turned.
"""

from __future__ import annotations

import base64
import json
import math
import ntpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facecctv.errors import ImageError, LabelError
from facecctv.image.files import SUFFIXES, shown, write_atomic
from facecctv.learn.data.dataset import FACE, Dataset, Fault, Labelled, Pictures, name_below
from facecctv.types import Floats

NO_FACE = frozenset({"no face", "no_face", "no-face", "noface", "background", "negative", "0"})
"""Labels and flags that say: no face in this picture. Case does not count."""
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
WRITTEN_VERSION = "5.5.0"
_FACES = frozenset({FACE, "1"})
_EXTRA = "facecctv"


class _Broken(Exception):
    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind, self.detail = kind, detail


def read_labelme(path: Path) -> Dataset:
    """Every labelme JSON below a folder, or one; pictures without one, in a
    folder where others have one, are faults.

    A picture with one broken shape is left out whole: trained on, its unlabelled face would count
    as background.
    """
    root = path if path.is_dir() else path.parent
    files = sorted(root.rglob("*.json")) if path.is_dir() else [path]
    pictures, items, faults, skipped = Pictures(), [], [], set()
    for file in files:
        try:
            body = _load(file)
            if body is None:
                skipped.add(file)
                continue
            items.append(_item(file, body, pictures))
        except _Broken as broken:
            faults.append(Fault(name_below(root, file), broken.kind, broken.detail))
    labels = [file for file in files if file not in skipped]
    if path.is_dir():
        faults += _unlabelled(root, labels)
    return Dataset(root, "labelme", tuple(items), tuple(faults))


def is_labelme(body: Any) -> bool:
    """Whether parsed JSON is a labelme file."""
    return isinstance(body, dict) and isinstance(body.get("shapes"), list) and "imagePath" in body


def _load(file: Path) -> dict[str, Any] | None:
    """None for JSON of another kind, such as a manifest in the same folder."""
    try:
        body = json.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise _Broken("broken label", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _Broken("broken label", "not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise _Broken("broken label", f"not JSON: {error}") from error
    return body if is_labelme(body) else None


def _unlabelled(root: Path, files: list[Path]) -> Iterator[Fault]:
    """Pictures without labels in folders where others have them."""
    stems = {file.with_suffix("") for file in files}
    folders = sorted({file.parent for file in files})
    for picture in (p for folder in folders for p in sorted(folder.iterdir())):
        if picture.suffix.lower() in SUFFIXES and picture.with_suffix("") not in stems:
            yield Fault(name_below(root, picture), "no labels", "no labelme JSON beside it")


def _item(file: Path, body: Mapping[str, Any], pictures: Pictures) -> Labelled:
    path = _picture(file, body)
    try:
        width, height, turned = pictures.header(path)
    except ImageError as error:
        raise _Broken("unreadable picture", str(error).rsplit(": ", 1)[-1]) from error
    upright = (height, width) if turned >= 5 else (width, height)
    stated = (body.get("imageWidth"), body.get("imageHeight"))
    as_stored = stated == (width, height) != upright
    if None not in stated and stated != upright and not as_stored:
        raise _Broken(
            "wrong size",
            f"labelled at {stated[0]} x {stated[1]} pixels, but the picture has "
            f"{upright[0]} x {upright[1]}",
        )
    shapes = [_shape(s) for s in body["shapes"]]
    if as_stored:
        shapes = [s.turned(turned, width, height) for s in shapes]
    extra = body.get(_EXTRA) or {}
    flags = {str(k): v for k, v in (body.get("flags") or {}).items()}
    boxes = [s for s in shapes if not s.is_point and s.label.lower() not in NO_FACE]
    none = any(on and name.lower() in NO_FACE for name, on in flags.items()) or any(
        s.label.lower() in NO_FACE for s in shapes
    )
    if none and boxes:
        raise _Broken("broken label", f"says there is no face, and labels {len(boxes)}")
    flagged = {k: float(bool(v)) for k, v in flags.items() if k.lower() not in NO_FACE}
    return Labelled(
        path,
        *upright,
        boxes=np.array([s.box for s in boxes], np.float32).reshape(-1, 4),
        labels=tuple(FACE if s.label.lower() in _FACES else s.label for s in boxes),
        landmarks=_landmarks(boxes, [s for s in shapes if s.is_point]),
        ignore=np.array([s.ignore for s in boxes], bool),
        identity=extra.get("identity"),
        attributes={**flagged, **extra.get("attributes", {})},
    )


def _picture(file: Path, body: Mapping[str, Any]) -> Path:
    stated = str(body["imagePath"] or "")
    beside = file.parent
    # An absolute or Windows path is of the machine where labelling was done.
    candidates = [beside / stated, beside / stated.replace("\\", "/")]
    candidates.append(beside / ntpath.basename(stated))
    candidates += [file.with_suffix(s) for s in sorted(SUFFIXES)]
    for candidate in candidates:
        if stated and "\0" not in stated and candidate.is_file():
            return candidate
    if body.get("imageData"):
        return file
    raise _Broken("missing picture", f"its picture {shown(stated)!r} is missing")


@dataclass(frozen=True, eq=False)
class _Shape:
    label: str
    points: Floats
    group: Any
    ignore: bool
    is_point: bool

    @property
    def box(self) -> Floats:
        return np.concatenate([self.points.min(axis=0), self.points.max(axis=0)])

    def turned(self, orientation: int, width: int, height: int) -> _Shape:
        points = upright(self.points, orientation, width, height)
        return _Shape(self.label, points, self.group, self.ignore, self.is_point)


def upright(points: Floats, orientation: int, width: int, height: int) -> Floats:
    """Points (N, 2) on a picture as stored (width, height) -> on the picture as EXIF turns it."""
    x, y = points[:, 0], points[:, 1]
    mirrored_x, mirrored_y = width - x, height - y
    pairs = {
        1: (x, y),
        2: (mirrored_x, y),
        3: (mirrored_x, mirrored_y),
        4: (x, mirrored_y),
        5: (y, x),
        6: (mirrored_y, x),
        7: (mirrored_y, mirrored_x),
        8: (y, mirrored_x),
    }
    return np.stack(pairs[orientation], axis=1).astype(np.float32)


_LEAST_POINTS = {"rectangle": 2, "polygon": 3, "circle": 2, "mask": 2, "point": 1}


def _shape(raw: Any) -> _Shape:
    if not isinstance(raw, dict):
        raise _Broken("broken label", "a shape is not an object")
    label = str(raw.get("label") or "").strip()
    # Before version 3.4 there were polygons only, and nothing said so.
    kind = raw.get("shape_type") or "polygon"
    least = 4 if kind == "oriented_rectangle" else _LEAST_POINTS.get(kind)
    if not label:
        raise _Broken("broken label", f"a {kind} without a label")
    if least is None:
        raise _Broken("broken label", f"a {kind} ({label!r}) has no area: draw a rectangle")
    try:
        points = np.array(raw["points"], np.float32).reshape(-1, 2)
    except (KeyError, TypeError, ValueError) as error:
        raise _Broken("broken label", f"a {kind} ({label!r}) has no points") from error
    if len(points) < least:
        count = "one point" if len(points) == 1 else f"{len(points)} points"
        raise _Broken("broken label", f"a {kind} ({label!r}) with {count}")
    if not np.isfinite(points).all():
        raise _Broken("broken label", f"a {kind} ({label!r}) with a point that is no number")
    if kind == "circle":
        radius = math.dist(points[0], points[1])
        points = np.stack([points[0] - radius, points[0] + radius])
    is_point = kind == "point"
    if is_point and label not in LANDMARKS:
        raise _Broken("broken label", f"a point {label!r}: points are {', '.join(LANDMARKS)}")
    if not is_point and (np.ptp(points, axis=0) <= 0).any():
        raise _Broken("broken label", f"a {kind} ({label!r}) without area")
    flags = raw.get("flags") or {}
    return _Shape(label, points, raw.get("group_id"), bool(flags.get("ignore")), is_point)


def _landmarks(boxes: list[_Shape], points: list[_Shape]) -> Floats:
    result = np.full((len(boxes), len(LANDMARKS), 2), np.nan, np.float32)
    for point in points:
        owners = [i for i, box in enumerate(boxes) if box.group == point.group]
        if len(boxes) == 1:
            owners = [0]
        if len(owners) != 1:
            raise _Broken("broken label", f"{point.label}: no one box has its group number")
        result[owners[0], LANDMARKS.index(point.label)] = point.points[0]
    return result


def labelme_json(item: Labelled, picture: str, data: bytes | None = None) -> bytes:
    """A labelme file for a picture.

    `picture` is its path as seen from the JSON; `data`, where given, is the picture itself, to be
    embedded. Attributes and identity go into a key that labelme keeps when it saves.
    """
    # One box with landmarks is numbered too: when a second is drawn beside it, there is no doubt
    # whose the points are.
    numbered = len(item.boxes) > 1 or bool(np.isfinite(item.landmarks).any())
    shapes = []
    for i, (box, label) in enumerate(zip(item.boxes, item.labels, strict=True)):
        group = i + 1 if numbered else None
        corners = [box[:2].tolist(), box[2:].tolist()]
        shapes.append(_written(label, corners, "rectangle", group, bool(item.ignore[i])))
        for name, point in zip(LANDMARKS, item.landmarks[i], strict=True):
            if np.isfinite(point).all():
                shapes.append(_written(name, [point.tolist()], "point", group, False))
    body: dict[str, Any] = {
        "version": WRITTEN_VERSION,
        "flags": {} if len(item.boxes) else {"no face": True},
        "shapes": shapes,
        "imagePath": picture,
        "imageData": base64.b64encode(data).decode() if data else None,
        "imageHeight": item.height,
        "imageWidth": item.width,
    }
    extra = {"identity": item.identity, "attributes": dict(item.attributes)}
    if item.identity is not None or item.attributes:
        body[_EXTRA] = extra
    return (json.dumps(body, indent=2) + "\n").encode()


def _written(
    label: str, points: list[Any], kind: str, group: int | None, ignore: bool
) -> dict[str, Any]:
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": {"ignore": True} if ignore else {},
    }


def write_beside(item: Labelled) -> Path:
    """Writes the labelme JSON of a picture file beside it; LabelError for one inside a zip file."""
    if not item.path.is_file():
        raise LabelError(f"{shown(item.path)}: labelme needs a picture in a folder")
    target = item.path.with_suffix(".json")
    write_atomic(target, labelme_json(item, item.path.name))
    return target
