"""Pascal VOC's XML: `Annotations/*.xml` with `JPEGImages/`, or XML beside the picture.

VOC counts pixels from 1 and includes the last one: its (1, 1, w, h) is our (0, 0, w, h).
`difficult` is our `ignore`.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np

from facecctv.errors import ImageError
from facecctv.image.files import SUFFIXES
from facecctv.learn.data.dataset import Dataset, Fault, Labelled, Pictures, name_below


def read_voc(path: Path) -> Dataset:
    """A folder, or one XML file."""
    root = path if path.is_dir() else path.parent
    files = sorted(root.rglob("*.xml")) if path.is_dir() else [path]
    pictures, items, faults = Pictures(), [], []
    by_stem = {p.stem: p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES}
    for file in files:
        name = name_below(root, file)
        try:
            tree = Xml.parse(file).getroot()
            if tree.tag != "annotation":
                continue
            items.append(_item(_picture(root, file, tree, by_stem), tree, pictures))
        except Xml.ParseError as error:
            faults.append(Fault(name, "broken label", f"not XML: {error}"))
        except ImageError as error:
            detail = str(error).rsplit(": ", 1)[-1]
            kind = "missing picture" if "missing" in detail else "unreadable picture"
            faults.append(Fault(name, kind, detail))
        except (OSError, ValueError) as error:
            faults.append(Fault(name, "broken label", str(error)))
    return Dataset(root, "voc", tuple(items), tuple(faults))


def _picture(root: Path, file: Path, tree: Xml.Element, by_stem: dict[str, Path]) -> Path:
    stated = tree.findtext("filename") or ""
    places = [file.parent, file.parent.parent / "JPEGImages", root, root / "JPEGImages"]
    places.append(file.parent.parent / "images")
    for place in places:
        if stated and (place / stated).is_file():
            return place / stated
    if file.stem not in by_stem:
        raise ImageError(f"its picture {stated or file.stem!r} is missing")
    return by_stem[file.stem]


def _item(path: Path, tree: Xml.Element, pictures: Pictures) -> Labelled:
    size = pictures.size(path)
    stated = tree.findtext("size/width"), tree.findtext("size/height")
    # Many tools leave the size at 0.
    if all(s and s != "0" for s in stated) and tuple(int(s or 0) for s in stated) != size:
        raise ValueError(
            f"labelled at {stated[0]} x {stated[1]} pixels, but the picture has "
            f"{size[0]} x {size[1]}"
        )
    boxes, labels, ignore = [], [], []
    for thing in tree.iter("object"):
        corners = [thing.findtext(f"bndbox/{c}") for c in ("xmin", "ymin", "xmax", "ymax")]
        if None in corners:
            raise ValueError("an object without a box")
        x1, y1, x2, y2 = (float(c or "nan") for c in corners)
        if not (np.isfinite([x1, y1, x2, y2]).all() and x1 - 1 < x2 and y1 - 1 < y2):
            raise ValueError(f"a box without area: {', '.join(c or '' for c in corners)}")
        boxes.append([x1 - 1, y1 - 1, x2, y2])
        labels.append((thing.findtext("name") or "").strip() or "face")
        ignore.append((thing.findtext("difficult") or "0").strip() == "1")
    return Labelled(
        path,
        *size,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=tuple(labels),
        ignore=np.array(ignore, bool),
    )


def voc_xml(item: Labelled, name: str) -> bytes:
    """The XML of one picture; `name` is its file's name."""
    tree = Xml.Element("annotation")
    folder, _, file = name.rpartition("/")
    _add(tree, folder=folder, filename=file)
    _add(Xml.SubElement(tree, "size"), width=item.width, height=item.height, depth=3)
    _add(tree, segmented=0)
    for box, label, ignore in zip(item.boxes, item.labels, item.ignore, strict=True):
        thing = Xml.SubElement(tree, "object")
        _add(thing, name=label, pose="Unspecified", truncated=0, difficult=int(ignore))
        x1, y1, x2, y2 = (float(v) for v in box)
        corners = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
        _add(Xml.SubElement(thing, "bndbox"), **{k: f"{v:.9g}" for k, v in corners.items()})
    Xml.indent(tree)
    return Xml.tostring(tree, "utf-8") + b"\n"


def _add(parent: Xml.Element, **fields: object) -> None:
    for tag, text in fields.items():
        Xml.SubElement(parent, tag).text = str(text)
