"""WIDER FACE's text: a picture's name, the number of faces, and a line for each.

A line is `x y width height blur expression illumination invalid occlusion pose`, whole pixels.
`invalid` is our `ignore`; the other five are not kept. A picture without faces has the count 0 and
one line of zeros, as in the official files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from facecctv.errors import ImageError, InputError, LabelError
from facecctv.image.files import shown, write_atomic
from facecctv.learn.data.dataset import Dataset, Fault, Labelled, Pictures

_INVALID = 7


def read_wider(path: Path) -> Dataset:
    """One text file, or a folder with `wider_face_split/wider_face_{train,val}_bbx_gt.txt`.

    Pictures are looked for in `WIDER_{split}/images`, `images` and beside the text.
    """
    files = [path] if path.is_file() else sorted(path.rglob("wider_face*bbx_gt.txt"))
    if not files:
        raise InputError(f"{shown(path)}: no wider_face_*_bbx_gt.txt")
    root = path if path.is_dir() else path.parent
    pictures, items, faults = Pictures(), [], []
    for file in files:
        split = next((s for s in ("train", "val", "test") if f"_{s}_" in file.name), None)
        folders = [root / "images", file.parent / "images", file.parent]
        for base in (root, file.parent, file.parent.parent):
            folders.insert(0, base / f"WIDER_{split}" / "images")
        for name, lines in _entries(file):
            picture = next((f / name for f in folders if (f / name).is_file()), None)
            if picture is None:
                faults.append(Fault(name, "missing picture", "listed in the labels, but not there"))
                continue
            try:
                items.append(_item(picture, lines, split, pictures))
            except ImageError as error:
                faults.append(Fault(name, "unreadable picture", str(error).rsplit(": ", 1)[-1]))
            except ValueError as error:
                faults.append(Fault(name, "broken label", str(error)))
    return Dataset(root, "wider", tuple(items), tuple(faults))


def _entries(file: Path) -> Iterator[tuple[str, list[str]]]:
    try:
        lines = file.read_bytes().decode("utf-8-sig", "surrogateescape").splitlines()
    except OSError as error:
        raise InputError(f"{shown(file)}: {error.strerror}") from error
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        name, count = lines[at].strip(), lines[at + 1].strip() if at + 1 < len(lines) else ""
        if not count.isdigit():
            raise LabelError(
                f"{shown(file)}: line {at + 2} is no number of faces: {shown(count)!r}"
            )
        faces = int(count)
        yield name, lines[at + 2 : at + 2 + faces]
        at += 2 + faces
        # The official files have a line of zeros for none; others leave it out.
        if faces == 0 and at < len(lines) and set(lines[at].split()) == {"0"}:
            at += 1


def _item(path: Path, lines: Sequence[str], split: str | None, pictures: Pictures) -> Labelled:
    boxes, ignore = [], []
    for line in lines:
        values = line.split()
        if len(values) < 4:
            raise ValueError(f"a face needs four numbers: {line!r}")
        x, y, width, height = (float(v) for v in values[:4])
        invalid = len(values) > _INVALID and values[_INVALID] == "1"
        # The official files hold a few faces without area; none of them can be learnt.
        if width > 0 and height > 0:
            boxes.append([x, y, x + width, y + height])
            ignore.append(invalid)
    return Labelled(
        path,
        *pictures.size(path),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        ignore=np.array(ignore, bool),
        attributes={"split": split} if split else {},
    )


def write_wider(path: Path, items: Sequence[tuple[str, Labelled]]) -> None:
    """Writes pictures by name as one text file; edges are rounded to whole pixels.

    Raises OutputError.
    """
    lines = []
    for name, item in items:
        lines += [name, str(len(item.boxes))]
        for box, ignore in zip(np.rint(item.boxes).astype(int), item.ignore, strict=True):
            width, height = np.maximum(box[2:] - box[:2], 1)
            lines.append(f"{box[0]} {box[1]} {width} {height} 0 0 0 {int(ignore)} 0 0")
        if not len(item.boxes):
            lines.append("0 0 0 0 0 0 0 0 0 0")
    write_atomic(path, "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape"))
