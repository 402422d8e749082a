"""Label formats: how each is recognised, read and written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from facecctv.learn.data.dataset import Dataset
from facecctv.learn.data.formats.coco import read_coco
from facecctv.learn.data.formats.official import (
    read_celeba,
    read_fairface,
    read_lfw,
    read_people,
    read_utkface,
)
from facecctv.learn.data.formats.recognise import recognise
from facecctv.learn.data.formats.table import read_table
from facecctv.learn.data.formats.voc import read_voc
from facecctv.learn.data.formats.wider import read_wider
from facecctv.learn.data.formats.yolo import read_yolo
from facecctv.learn.data.labelme import read_labelme

READERS: dict[str, Callable[[Path], Dataset]] = {
    "labelme": read_labelme,
    "yolo": read_yolo,
    "voc": read_voc,
    "coco": read_coco,
    "wider": read_wider,
    "csv": read_table,
    "people": read_people,
    "celeba": read_celeba,
    "lfw": read_lfw,
    "fairface": read_fairface,
    "utkface": read_utkface,
}
"""By name; each takes a folder or a label file."""

__all__ = ["READERS", "recognise"]
