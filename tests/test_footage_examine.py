"""A video from end to end, and again after a sudden end."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import cv2
import numpy as np
import pytest

from facecctv.errors import OutputError, SettingError, SourceChanged
from facecctv.footage.attention import AttentionOptions
from facecctv.footage.examine import ExamineOptions, best_passage, examine
from facecctv.footage.journal import Entry, Journal
from facecctv.footage.video import Video
from facecctv.geometry import crop
from facecctv.types import Face, Pose, Quality
from tests.clips import steady, write

ABOUT = {"sha256": "0" * 64}


def colours(image):
    """Finds the red and the blue square by their colour."""
    faces = []
    for channel in (0, 2):
        rest = image[..., 2 - channel].astype(int)
        ys, xs = np.nonzero(image[..., channel] - rest > 90)
        if len(ys) > 40:
            box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
            faces.append(Face(box, [middle] * 5, 0.9 if len(ys) > 300 else 0.3))
    return faces


def assess(image, face):
    score = float(np.clip(face.width / 64, 0, 1))
    return Quality(score, face.height, 8, 0.5, 2, 0.5, 0.5, 0, Pose(0, 0, 0), False, "fine")


def scene(index):
    """Red walks and grows until frame 40, blue stands from 20 to 60, nobody after."""
    image = np.full((96, 160, 3), 90, np.uint8)
    if index < 40:
        side = 20 + index // 4
        image[20 : 20 + side, 2 * index : 2 * index + side] = (230, 20, 20)
    if 20 <= index < 60:
        image[60:84, 130:154] = (20, 20, 230)
    return image


@pytest.fixture
def clip(tmp_path):
    images = [scene(index) for index in range(130)]
    return write(tmp_path / "in.mp4", steady(130), 160, 96, images=images)


def told(track):
    """All that a track says, to be compared."""
    return (
        track.number,
        track.frames.tolist(),
        track.boxes.tolist(),
        track.scores.tolist(),
        [(one.index, one.quality, one.face.box.tolist()) for one in track.best],
    )


def run(clip, **how):
    with Video(clip) as video:
        return list(examine(video, colours, assess, **how))


def test_every_passage_once_with_its_best_sights(clip):
    tracks = sorted(run(clip), key=lambda track: track.number)
    assert [track.number for track in tracks] == [1, 2]
    red, blue = tracks
    # Blue comes at 0.8 s and is noticed within the 0.2 s that are promised.
    assert red.first == 0
    assert Fraction(4, 5) <= blue.first <= 1
    assert 1.4 <= red.last < 1.6
    # Who stands still in a still scene is looked at once a second, and leaves at 2.4 s.
    assert 1.4 <= blue.last < 2.4
    assert red.best[0].face.width == pytest.approx(29, abs=1)
    assert len(red.best) <= 15
    part = red.best[0].crop
    assert part.image.shape[1] == pytest.approx(1.7 * red.best[0].face.width, abs=2)
    assert best_passage([red, blue]) is red


def test_fewer_frames_are_looked_at_than_there_are(clip):
    looks = []

    def detect(image):
        looks.append(image)
        return colours(image)

    with Video(clip) as video:
        list(examine(video, detect, assess))
    assert len(looks) < 70


def test_a_flash_is_no_passage(tmp_path):
    images = [np.full((96, 160, 3), 90, np.uint8) for _ in range(20)]
    images[7][20:40, 20:36] = (230, 20, 20)
    clip = write(tmp_path / "in.mp4", steady(20), 160, 96, images=images)
    assert run(clip) == []
    some = run(clip, options=ExamineOptions(evidence=0.5, attention=AttentionOptions(0)))
    assert len(some) == 1


def test_a_journal_changes_nothing(clip, tmp_path):
    whole = run(clip)
    with Journal(tmp_path / "journal", ABOUT) as journal:
        tracks = run(clip, journal=journal)
        assert [told(track) for track in tracks] == [told(track) for track in whole]
        for track, known in zip(tracks, whole, strict=True):
            assert all(one.crop is None for one in track.best)
            for one, other in zip(journal.with_crops(track.best), known.best, strict=True):
                assert (one.crop.x, one.crop.y) == (other.crop.x, other.crop.y)
                assert np.array_equal(one.crop.image, other.crop.image)
        journal.remove()
    assert not (tmp_path / "journal").exists()


class Killed(BaseException):
    """What no code of the program catches."""


@pytest.mark.parametrize("looks", [0, 1, 2, 9, 15])
def test_the_end_may_come_at_any_look(clip, tmp_path, looks):
    whole = [told(track) for track in run(clip)]
    count = 0

    def mortal(image):
        nonlocal count
        if count == looks:
            raise Killed
        count += 1
        return colours(image)

    with (
        Journal(tmp_path / "journal", ABOUT) as journal,
        Video(clip) as video,
        pytest.raises(Killed),
    ):
        list(examine(video, mortal, assess, journal=journal))
    # Of a line and a crop that were being written only a part may be there.
    with (tmp_path / "journal" / "looks.jsonl").open("ab") as lines:
        lines.write(b'{"index":99,"time":"3')
    with (tmp_path / "journal" / "crops.bin").open("ab") as crops:
        crops.write(b"\x78\x01half")
    again = []

    def counted(image):
        again.append(image)
        return colours(image)

    with Journal(tmp_path / "journal", ABOUT) as journal, Video(clip) as video:
        found = list(examine(video, counted, assess, journal=journal))
        assert [told(track) for track in found] == whole
        for track in found:
            assert all(one.crop.image.size for one in journal.with_crops(track.best))
        total = journal.looks
    assert len(again) == total - looks


def test_a_finished_journal_gives_the_same_without_looking(clip, tmp_path):
    with Journal(tmp_path / "journal", ABOUT) as journal:
        first = [told(track) for track in run(clip, journal=journal)]

    def blind(image):
        raise AssertionError("looked again")

    with Journal(tmp_path / "journal", ABOUT) as journal, Video(clip) as video:
        again = [told(track) for track in examine(video, blind, assess, journal=journal)]
    assert again == first


def test_a_journal_of_something_else_is_begun_anew(clip, tmp_path):
    with Journal(tmp_path / "journal", ABOUT) as journal:
        run(clip, journal=journal)
    with Journal(tmp_path / "journal", {"sha256": "1" * 64}) as journal:
        assert list(journal.replay()) == []


def test_a_video_that_is_not_the_one(clip, tmp_path):
    with Journal(tmp_path / "journal", ABOUT) as journal:
        run(clip, journal=journal)
    other = write(tmp_path / "other.mp4", steady(10), 160, 96)
    with Journal(tmp_path / "journal", ABOUT) as journal, pytest.raises(SourceChanged):
        run(other, journal=journal)


def test_what_is_written_comes_back(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    face = Face(np.float32([10.1, 5.3, 30.7, 25.9]), np.float32([[1 / 3, 2 / 7]] * 5), 0.123456789)
    quality = dataclasses.replace(assess(image, face), usable_for=("presence", "observation"))
    entry = Entry(7, Fraction(7, 30), 2, True, (face,), {0: quality}, {0: crop(image, face)})
    with Journal(tmp_path / "journal", ABOUT) as journal:
        journal.write(entry)
    with Journal(tmp_path / "journal", ABOUT) as journal:
        (found,) = journal.replay()
    assert (found.index, found.time, found.damaged, found.cut) == (7, Fraction(7, 30), 2, True)
    assert np.array_equal(found.faces[0].box, face.box)
    assert np.array_equal(found.faces[0].landmarks, face.landmarks)
    assert found.faces[0].score == face.score
    assert found.qualities == {0: quality}
    assert np.array_equal(found.crops[0].image, entry.crops[0].image)


def test_where_no_journal_can_be_kept(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        Journal(tmp_path / "file" / "journal", ABOUT)


@pytest.mark.parametrize("wrong", [{"sights": 0}, {"margin": -1}, {"evidence": -1}])
def test_impossible_options(wrong):
    with pytest.raises(SettingError):
        ExamineOptions(**wrong)


class Parts:
    """Finds faces in parts of a frame as anybody would who is not shown the rest."""

    def __init__(self, most=10**9):
        self.most, self.whole, self.partly = most, 0, 0

    def _look(self):
        if self.whole + self.partly == self.most:
            raise Killed

    def __call__(self, image):
        self._look()
        self.whole += 1
        return colours(image)

    def within(self, image, changed, near):
        if changed is not None and changed.all():
            return self(image)
        self._look()
        self.partly += 1
        shown = np.zeros(image.shape[:2], bool)
        if changed is not None:
            shown = np.kron(changed, np.ones((8, 8), bool))
            shown = cv2.dilate(shown.astype(np.uint8), np.ones((65, 65), np.uint8)) > 0
        for x1, y1, x2, y2 in np.rint(near).astype(int):
            shown[max(0, y1 - 15) : y2 + 15, max(0, x1 - 15) : x2 + 15] = True
        return colours(np.where(shown[..., None], image, np.uint8(90)))


def test_parts_of_frames_are_enough(clip):
    detect = Parts()
    with Video(clip) as video:
        tracks = sorted(examine(video, detect, assess), key=lambda track: track.number)
    assert [track.number for track in tracks] == [1, 2]
    assert detect.whole <= 3 < detect.partly
    red, blue = tracks
    assert red.first == 0
    assert Fraction(4, 5) <= blue.first <= 1
    assert 1.4 <= red.last < 1.6
    assert 1.4 <= blue.last < 2.4
    assert red.best[0].face.width == pytest.approx(29, abs=1)


@pytest.mark.parametrize("looks", [0, 1, 2, 9, 12, 14])
def test_the_end_may_come_at_any_look_at_parts(clip, tmp_path, looks):
    how = ExamineOptions(AttentionOptions(everywhere=1.0))
    with Video(clip) as video:
        whole = [told(track) for track in examine(video, Parts(), assess, how)]
    with (
        Journal(tmp_path / "journal", ABOUT) as journal,
        Video(clip) as video,
        pytest.raises(Killed),
    ):
        list(examine(video, Parts(looks), assess, how, journal=journal))
    again = Parts()
    with Journal(tmp_path / "journal", ABOUT) as journal, Video(clip) as video:
        found = list(examine(video, again, assess, how, journal=journal))
        assert [told(track) for track in found] == whole
        assert again.whole + again.partly == journal.looks - looks


def test_a_journal_of_looks_at_parts_of_another_video(clip, tmp_path):
    with (
        Journal(tmp_path / "journal", ABOUT) as journal,
        Video(clip) as video,
        pytest.raises(Killed),
    ):
        list(examine(video, Parts(9), assess, journal=journal))
    other = write(tmp_path / "other.mp4", steady(10), 160, 96)
    with (
        Journal(tmp_path / "journal", ABOUT) as journal,
        Video(other) as video,
        pytest.raises(SourceChanged),
    ):
        list(examine(video, Parts(), assess, journal=journal))
