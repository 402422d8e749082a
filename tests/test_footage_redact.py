"""Covered faces: none is missed, nothing else is touched, and what is doubtful is said."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from facecctv.errors import SettingError
from facecctv.footage.redact import (
    RedactOptions,
    Review,
    checked,
    cover,
    passages,
    redact,
    same_passage,
)
from facecctv.footage.video import Video
from facecctv.types import Face
from tests.clips import steady, write

SIDE = 20


def scene(place):
    """Grey with a red face at a column, nobody for None: (96, 128, 3)."""
    image = np.full((96, 128, 3), 90, np.uint8)
    if place is not None:
        image[30 : 30 + SIDE, place : place + SIDE] = (230, 20, 20)
    return image


def red_faces(image):
    """Finds the red square by its colour."""
    red = (image[..., 0].astype(int) - image[..., 1] > 90) & (image[..., 2] < 120)
    if red.sum() < 40:
        return []
    ys, xs = np.nonzero(red)
    box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    return [Face(box, [[(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]] * 5, 0.9)]


def blinking(missed):
    """The same, but blind at these columns."""

    def detect(image):
        faces = red_faces(image)
        return [face for face in faces if round(float(face.box[0])) not in missed]

    return detect


PLACES = [None] * 5 + [10 + 2 * index for index in range(30)] + [None] * 5


@pytest.fixture
def clip(tmp_path):
    images = [scene(place) for place in PLACES]
    return write(tmp_path / "in.mp4", steady(40), 128, 96, images=images, sound=1.6)


def test_a_picture_without_faces_stays_as_it_is():
    image = scene(50)
    assert np.array_equal(cover(image, np.zeros((0, 4))), image)


@pytest.mark.parametrize("style", ["solid", "blur", "mosaic"])
def test_a_face_and_its_margin_are_covered_and_nothing_else(style):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (96, 128, 3), np.uint8)
    options = RedactOptions(style, margin=0.5)
    result = cover(image, [[40, 30, 60, 50], [-5, -5, 3, 3]], options)
    changed = (result != image).any(axis=2)
    inside = np.zeros_like(changed)
    inside[20:60, 30:70] = inside[:7, :7] = True
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.95
    covered = result[20:60, 30:70].astype(float)
    assert covered.std() < 30 < image[20:60, 30:70].std()
    if style == "solid":
        assert not covered.any()


@pytest.mark.parametrize("wrong", [{"style": "pink"}, {"margin": -1}, {"hold": -1}])
def test_impossible_options(wrong):
    with pytest.raises(SettingError):
        RedactOptions(**wrong)


def test_every_frame_of_every_face_is_covered(clip, tmp_path):
    out = tmp_path / "out.mp4"
    with Video(clip) as video:
        tracks = passages(video.frames(), red_faces)
        done = redact(video, out, tracks, RedactOptions(hold=0.1))
    assert len(tracks) == 1
    finished = Video(out)
    for frame, place in zip(finished.frames(), PLACES, strict=True):
        assert red_faces(frame.image) == []
        if place is not None:
            assert frame.image[31 : 30 + SIDE - 1, place + 1 : place + SIDE - 1].max() < 40
    assert [frame.time for frame in finished.frames()] == steady(40)
    assert (done.frames, done.covers, done.filled) == (40, 34, 4)
    assert finished.facts.audio == "aac"
    again = checked(finished, done, red_faces, every=0)
    assert (again.found_after, again.checked, again.coverage) == (0, 40, 1.0)
    # Two frames held before the face came and two after it went are for review.
    assert [(one.first, one.last, one.why) for one in again.review] == [
        (3, 4, "filled"),
        (35, 36, "filled"),
    ]


def test_frames_in_which_the_face_is_missed_are_filled_and_told(clip, tmp_path):
    with Video(clip) as video:
        tracks = passages(video.frames(), blinking({30, 32, 34}))
        done = redact(video, tmp_path / "out.mp4", tracks, RedactOptions(hold=0.0))
    assert done.filled == 3
    assert [(one.first, one.last, one.why) for one in done.review] == [(15, 17, "filled")]
    assert done.review[0].start == Fraction(15, 25)
    for frame in Video(tmp_path / "out.mp4").frames():
        assert red_faces(frame.image) == []


def test_who_is_left_out_stays_to_be_seen(clip, tmp_path):
    with Video(clip) as video:
        (track,) = passages(video.frames(), red_faces)
        done = redact(video, tmp_path / "out.mp4", [], sound=False)
    assert (done.covers, done.coverage) == (0, 1.0)
    finished = Video(tmp_path / "out.mp4")
    assert finished.facts.audio is None
    assert checked(finished, done, red_faces, [track], every=0).found_after == 0
    open_again = checked(finished, done, red_faces, every=0)
    assert open_again.found_after == 30
    assert open_again.coverage == 0
    assert [one.why for one in open_again.review] == ["found after"]
    assert isinstance(open_again.review[0], Review)


def test_a_passage_is_known_again_by_place_and_time(clip):
    with Video(clip) as video:
        (track,) = passages(video.frames(), red_faces)
    assert same_passage(track, track.times[::5], track.boxes[::5] + 1)
    assert not same_passage(track, track.times, track.boxes + 40)
    assert not same_passage(track, track.times + 60, track.boxes)


def test_who_stood_still_is_covered_until_the_last_frame(tmp_path):
    """Where nothing changes nobody looks, for up to a second: longer than covers are held."""
    places = [None] + [40] * 9 + [None] * 3
    images = [scene(place) for place in places]
    clip = write(tmp_path / "in.mkv", steady(13, 10), 128, 96, images=images, codec="ffv1")
    with Video(clip) as video:
        tracks = passages(video.stills(), red_faces)
        redact(video, tmp_path / "out.mp4", tracks, RedactOptions(hold=0.0))
    for frame in Video(tmp_path / "out.mp4").frames():
        assert red_faces(frame.image) == []
