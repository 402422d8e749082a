"""Stands in for PyAV in a program that leaves it out: everything loads, and no video opens.

PyInstaller runs it before the program does anything (facecctv.spec).
"""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

LEFT_OUT = "video is not part of this program: pip install facecctv"


class Absent(Exception):
    """Any class of PyAV; nothing ever raises it or is one."""


def refuse(*_, **__):
    """Any function of PyAV."""
    from facecctv.errors import MissingExtra

    raise MissingExtra(LEFT_OUT)


class Stand(MetaPathFinder, Loader):
    """Finds the package av and whatever is asked for inside."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "av":
            return ModuleSpec(name, self, is_package=True)
        return None

    def exec_module(self, module):
        module.LEFT_OUT = LEFT_OUT
        module.open = refuse
        module.__getattr__ = absent


def absent(name):
    """Attributes of PyAV's modules."""
    if name.startswith("__"):
        raise AttributeError(name)
    return Absent


sys.meta_path.append(Stand())
