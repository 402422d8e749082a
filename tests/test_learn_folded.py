from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import facecctv
import facecctv.learn
from facecctv.errors import ModelError
from facecctv.learn.export import check_parity
from facecctv.learn.nets.detector import DetectorNet
from facecctv.learn.nets.folded import load_folded

SHIPPED = Path(facecctv.__file__).parent / "models/shipped/face-detector.onnx"


def test_the_shipped_detector_comes_back_exactly():
    exported = SHIPPED.read_bytes()
    model = DetectorNet().build()
    load_folded(model, exported)
    picture = np.random.default_rng(0).random((1, 3, 64, 96), np.float32)
    assert check_parity(model, exported, [[picture]], tolerance=1e-5) < 1e-5
    with torch.no_grad():
        by_batch = model(torch.from_numpy(picture), training=True)
    # In training mode it is another network: the reason for normalise_by_batch=False.
    assert all(torch.isfinite(values).all() for values in by_batch)


@pytest.mark.parametrize("net", [DetectorNet(stem=8), DetectorNet(blocks=(1, 2, 1))])
def test_another_network_is_refused(net):
    with pytest.raises(ModelError, match="the file"):
        load_folded(net.build(), SHIPPED.read_bytes())
