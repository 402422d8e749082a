"""Writes models of a few bytes for the browser tests: `python web/browser/models.py FOLDER`."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.tiny_enhancers import (  # noqa: E402
    blur_enhancer,
    constant_colouriser,
    mean_embedder,
)

folder = Path(sys.argv[1])
for name, data in {
    "enhancer-x2": blur_enhancer(2, 2),
    "enhancer-x4": blur_enhancer(4, 2),
    "colouriser": constant_colouriser(),
    "face-embedder": mean_embedder(limit=0.5, least=24),
}.items():
    (folder / f"{name}.onnx").write_bytes(data)
