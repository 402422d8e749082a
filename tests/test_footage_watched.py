"""What those who look on are shown: frames by reference, pictures when asked, events in bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest

from facecctv.footage import watched
from facecctv.footage.camera import Camera, Notice
from facecctv.footage.cells import cells_of
from facecctv.footage.decoding import Still
from facecctv.footage.live import Look, follow
from facecctv.footage.watched import Live, Watched
from facecctv.image import decode
from facecctv.types import Face
from facecctv.vision.quality import assess

AT = datetime(2026, 11, 20, 17, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Pixels:
    """Counts how often they are made."""

    def __init__(self, level, width=1920, height=1080):
        self.made, self._image = 0, np.full((height, width, 3), level, np.uint8)

    def __call__(self):
        self.made += 1
        return self._image


def still(index, pixels, seconds=None):
    at = Fraction(index if seconds is None else seconds)
    return Still("door", index, at, cells_of(np.zeros((16, 16, 3), np.uint8)), pixels)


def face(x1, y1, x2, y2):
    marks = np.array([[x1, y1], [x2, y1], [x1, y2], [x2, y2], [x1, y1]], np.float32)
    return Face(np.array([x1, y1, x2, y2]), marks, 0.9)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def seen(tmp_path, clock):
    return Watched(1, Camera(str(tmp_path)), clock)


def test_nothing_came_yet(seen):
    assert seen.picture() is None
    assert (seen.rate, seen.dropped, seen.people) == (0.0, 0, None)
    assert (seen.status.state, seen.status.detail) == ("connecting", None)


def test_frames_are_counted_over_ten_seconds(seen, clock):
    for at in (100.0, 100.5, 101.0):
        clock.now = at
        seen.frame(still(int(2 * at), Pixels(0)))
    assert seen.rate == pytest.approx(2.0)  # two steps in one second
    clock.now = 110.75  # those at 100 and 100.5 are too old, and one frame has no rate
    assert seen.rate == 0.0


def test_states_follow_the_connection(seen):
    for told, state in (("connected", "watching"), ("lost", "lost"), ("given up", "ended")):
        assert seen.noticed(Notice("door", told, "", AT))
        assert (seen.status.state, seen.status.since) == (state, AT)
    seen.ended(AT, "refused")
    assert (seen.status.state, seen.status.detail) == ("ended", "refused")


def test_lost_again_is_lost_since_the_first_time(seen):
    seen.noticed(Notice("door", "lost", "again in 1 s", AT))
    assert not seen.noticed(Notice("door", "lost", "again in 2 s", AT + timedelta(seconds=1)))
    assert (seen.status.since, seen.status.detail) == (AT, "again in 2 s")


def test_people_are_told_while_watching(seen):
    seen.noticed(Notice("door", "connected", "", AT))
    assert seen.people == 0
    seen.looked(Look(still(0, Pixels(0)), {4: face(0, 0, 9, 9), 7: face(20, 0, 29, 9)}))
    assert seen.people == 2
    seen.noticed(Notice("door", "lost", "no answer", AT))
    assert seen.people is None


def test_a_picture_is_made_when_asked_and_once(seen, clock):
    pixels = Pixels(128)
    first = seen.frame(still(0, pixels))
    seen.looked(Look(first, {3: face(480, 270, 960, 810)}))
    assert pixels.made == 0
    data = seen.picture()
    image = decode(data).image
    # 1920 x 1080 at most 960 wide: a half. The outline lies around (240, 135, 480, 405).
    assert image.shape == (540, 960, 3)
    assert abs(int(image[270, 100].min()) - 128) < 8
    red, green, blue = (int(level) for level in image[270, 239])
    assert green > max(red, blue) + 40
    clock.now += 10
    assert seen.picture() is data
    assert first.pixels() is first.pixels()
    assert pixels.made == 1


def test_small_frames_stay_as_they_are(seen):
    seen.frame(still(0, Pixels(60, 320, 200)))
    assert decode(seen.picture()).image.shape == (200, 320, 3)


def test_at_most_four_pictures_a_second_are_made(seen, clock):
    for index, level in enumerate((10, 200)):
        seen.looked(Look(seen.frame(still(index, Pixels(level, 64, 64))), {}))
        if not index:
            dark = seen.picture()
    assert seen.picture() is dark
    clock.now += 0.25
    assert decode(seen.picture()).image.mean() > 190


def test_a_frame_that_waits_to_be_searched_is_shown_in_the_end(seen, clock):
    seen.looked(Look(seen.frame(still(0, Pixels(10, 64, 64))), {}))
    seen.frame(still(1, Pixels(200, 64, 64)))
    assert decode(seen.picture()).image.mean() < 20
    clock.now += 5.5
    assert decode(seen.picture()).image.mean() > 190


def test_nobody_was_told_of(tmp_path):
    assert Live([]).told() == []
    live = Live([Camera(str(tmp_path))])
    assert live.told() == []
    assert live.told(17) == []
    assert not live.over


def test_events_are_bounded(tmp_path):
    camera = Camera(str(tmp_path))
    live = Live([camera])
    for number in range(1, 1001):
        live.tell(camera, "camera", str(number))
    told = live.told()
    assert [one.number for one in told] == list(range(801, 1001))
    assert told[-1].text == "1000"
    assert [one.number for one in live.told(998)] == [999, 1000]
    assert len(live.told(1000)) == 0
    # A number of an earlier watch: all are new.
    assert len(live.told(5000)) == 200


def test_sights_are_bounded_by_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(watched, "SIGHT_BYTES", 2500)
    camera = Camera(str(tmp_path))
    live = Live([camera])
    sights = [np.zeros((20, 20, 3), np.uint8) for _ in range(3)]  # 1200 bytes each
    for sight in (sights[0], sights[1], sights[1], sights[2]):
        live.tell(camera, "appeared", "{}", sight)
    # The shared one counts once: 1200 + 1200 fit, the first would make 3600.
    assert [one.sight is not None for one in live.told()] == [False, True, True, True]


def test_looks_tell_who_is_there():
    """A red square that is a face, for a second of 5 frames; then nobody."""

    def detect(image):
        found = np.argwhere((image == (255, 0, 0)).all(axis=2))
        if not len(found):
            return []
        (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0) + 1
        return [face(left, top, right, bottom)]

    def frames():
        for index in range(20):
            image = np.full((64, 64, 3), 128, np.uint8)
            if index < 10:
                image[8:40, 8 + index : 40 + index] = (255, 0, 0)
            yield Still("s", index, Fraction(index, 5), cells_of(image), lambda image=image: image)

    looks = []
    events = list(follow(frames(), detect, assess, looked=looks.append))
    assert [one.kind for one in events] == ["appeared", "left"]
    # One sight of 0.9 is not believed yet, two are.
    assert looks[0].faces == {}
    there = [look for look in looks if look.faces]
    assert len(there) >= 2
    assert all(look.faces[1].box[0] == 8 + look.still.index for look in there)
    assert looks[-1].faces == {}
