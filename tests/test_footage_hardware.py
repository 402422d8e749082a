"""Decoding by a device: used where it works, done without where it does not, and said so."""

from __future__ import annotations

import av
import av.error
import numpy as np
import pytest

from facecctv.errors import SettingError
from facecctv.footage.cells import cells_of_picture
from facecctv.footage.hardware import Hardware, hardware
from facecctv.footage.opening import opened
from facecctv.footage.video import Mark, Video
from tests.clips import steady, write


class Failing:
    """A container whose packets cannot be decoded any more after so many."""

    def __init__(self, container, packets):
        self._container, self._left = container, packets

    def __enter__(self):
        self._container.__enter__()
        return self

    def __exit__(self, *error):
        self._container.__exit__(*error)

    def __getattr__(self, name):
        return getattr(self._container, name)

    def demux(self, stream):
        for packet in self._container.demux(stream):
            self._left -= 1
            if self._left < 0:
                raise av.error.ExternalError(-542398533, "device lost")
            yield packet


def device(packets=10**9, absent=()):
    """Software that passes for devices; those that are absent cannot be opened."""
    names = []

    def open_by(source, name):
        names.append(name)
        if name in absent:
            raise PermissionError(1, "Operation not permitted")
        return Failing(opened(source), packets)

    return Hardware(("first", "second"), open_by), names


@pytest.fixture
def clip(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(30)]
    return write(tmp_path / "in.mp4", steady(30), 64, 48, images=images)


def told(video, begin=None):
    return [(s.index, s.time, s.cells.tolist()) for s in video.stills(begin)]


@pytest.fixture
def without(clip):
    with Video(clip) as video:
        assert video.device is None
        assert video.decoding == ""
        return told(video)


def test_a_device_that_works_decodes_all(clip, without):
    fake, names = device()
    with Video(clip, hardware=fake) as video:
        assert video.device == "first"
        assert told(video) == without
        assert video.decoding == "decoded by hardware (first)"
        assert told(video, Mark(12, without[12][1])) == without[12:]
    assert set(names) == {"first"}


def test_the_first_that_works_is_taken(clip, without):
    fake, _ = device(absent=["first"])
    with Video(clip, hardware=fake) as video:
        assert video.device == "second"
        assert told(video) == without


def test_without_a_device_software_decodes_and_says_why(clip, without):
    fake, _ = device(absent=["first", "second"])
    with Video(clip, hardware=fake) as video:
        assert video.device is None
        assert told(video) == without
        assert video.decoding.startswith("decoded without hardware: first: ")
        assert "Operation not permitted" in video.decoding


@pytest.mark.parametrize("packets", [3, 9, 20, 29])
def test_a_device_that_fails_later_loses_no_frame(clip, without, packets):
    fake, _ = device(packets)
    with Video(clip, hardware=fake) as video:
        assert told(video) == without
        assert video.device is None
        assert video.damaged == 0
        assert "failed" in video.decoding
        assert told(video) == without


def test_what_is_there_is_tried_and_nothing_is_lost(clip, without):
    """Whatever this machine has."""
    with Video(clip, hardware=hardware("auto")) as video:
        assert len(told(video)) == len(without)
        assert video.decoding


def test_words():
    assert hardware("off") is None
    assert hardware("vaapi").names == ("vaapi",)
    with pytest.raises(SettingError, match="cuda"):
        hardware("steam")


def test_cells_of_what_devices_give(clip):
    with av.open(str(clip)) as container:
        picture = next(container.decode(container.streams.video[0]))
        paired = cells_of_picture(picture.reformat(format="nv12"))
        np.testing.assert_allclose(paired, cells_of_picture(picture), atol=1e-3)
