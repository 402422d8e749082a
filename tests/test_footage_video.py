"""Videos in and out: times, shapes, damage, sound."""

from __future__ import annotations

import contextlib
import itertools
import threading
from fractions import Fraction

import av
import numpy as np
import pytest

from facecctv.errors import OutputError, VideoError
from facecctv.footage.ahead import ahead
from facecctv.footage.cells import cells_of
from facecctv.footage.journal import Entry, Journal
from facecctv.footage.video import Mark, Video
from facecctv.footage.writing import Writer
from facecctv.geometry import crop
from facecctv.types import Face, Frame
from tests.clips import level, numbered, steady, write


def read(path, **how):
    with Video(path) as video:
        return list(video.frames(**how)), video


def test_every_frame_in_order_with_its_time(tmp_path):
    frames, video = read(write(tmp_path / "a.mp4", steady(30)))
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.time for frame in frames] == steady(30)
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 30
    for frame in frames:
        assert level(frame.image) == pytest.approx(20 + 8 * frame.index % 200, abs=3)
    facts = video.facts
    assert (facts.codec, facts.width, facts.height, facts.frames) == ("h264", 64, 48, 30)
    assert (facts.rotation, facts.pixel_aspect, facts.audio, video.damaged) == (0, 1, None, 0)
    assert facts.duration == pytest.approx(1.2, abs=0.05)


def test_times_of_a_variable_rate_are_exact(tmp_path):
    times = [Fraction(t, 1000) for t in (0, 40, 100, 130, 131, 640, 1000, 1001)]
    # The file counts in 12,800ths of a second.
    exact = [Fraction(round(time * 12_800), 12_800) for time in times]
    frames, _ = read(write(tmp_path / "vfr.mkv", times))
    assert [frame.time for frame in frames] == [Fraction(round(t * 1000), 1000) for t in times]
    frames, _ = read(write(tmp_path / "vfr.mp4", times))
    assert [frame.time for frame in frames] == exact


def test_times_count_from_the_beginning_of_the_file(tmp_path):
    frames, video = read(write(tmp_path / "late.ts", steady(5), start=Fraction(7)))
    assert video.facts.start >= 7
    assert [frame.time for frame in frames] == steady(5)


@pytest.mark.parametrize("turn", [90, 180, 270, -90])
def test_frames_are_turned_upright(tmp_path, turn):
    path = write(tmp_path / "turned.mp4", steady(3), rotation=turn)
    frames, video = read(path)
    expected = np.rot90(numbered(1, 64, 48), turn // 90)
    assert frames[1].image.shape == expected.shape == (video.facts.height, video.facts.width, 3)
    assert np.abs(frames[1].image.astype(int) - expected).mean() < 8
    assert video.facts.rotation == turn % 360


@pytest.mark.parametrize(("aspect", "size"), [((2, 1), (128, 48)), ((3, 4), (64, 64))])
def test_pixels_become_square_by_enlarging(tmp_path, aspect, size):
    path = write(tmp_path / "wide.mp4", steady(2), aspect=Fraction(*aspect))
    frames, video = read(path)
    assert frames[0].image.shape == (size[1], size[0], 3)
    assert (video.facts.width, video.facts.height) == size
    assert video.facts.pixel_aspect == Fraction(*aspect)


@pytest.mark.parametrize(("width", "height"), [(63, 47), (16, 1), (2, 2)])
def test_odd_and_tiny_sizes(tmp_path, width, height):
    images = [np.full((height, width, 3), 60 * i, np.uint8) for i in range(3)]
    path = write(tmp_path / "a.mkv", steady(3), width, height, images=images, codec="ffv1")
    frames, _ = read(path)
    assert [frame.image.shape for frame in frames] == [(height, width, 3)] * 3
    assert frames[2].image.mean() == pytest.approx(120, abs=3)


def test_a_video_of_one_frame(tmp_path):
    frames, _ = read(write(tmp_path / "one.mp4", steady(1)))
    assert [frame.time for frame in frames] == [0]


def test_the_name_does_not_say_what_it_is(tmp_path):
    path = write(tmp_path / "a.mp4", steady(3)).rename(tmp_path / "a.txt")
    assert len(read(path)[0]) == 3


def test_a_colon_in_the_name_is_no_protocol(tmp_path, monkeypatch):
    write(tmp_path / "a.mp4", steady(3)).rename(tmp_path / "http:a.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(read("http:a.mp4")[0]) == 3


def test_what_is_no_video(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video at all\n" * 50)
    for name in ("empty.mp4", "text.mp4"):
        with pytest.raises(VideoError, match="no video"):
            Video(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        Video(tmp_path / "missing.mp4")
    with pytest.raises(IsADirectoryError):
        Video(tmp_path)


def test_sound_alone(tmp_path):
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        tone = container.add_stream("aac", rate=16_000, layout="mono")
        silence = np.zeros((1, 1024), np.float32)
        for block in range(4):
            samples = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 16_000, block * 1024
            container.mux(tone.encode(samples))
        container.mux(tone.encode(None))
    with pytest.raises(VideoError, match="sound but no video"):
        Video(tmp_path / "a.m4a")


def test_a_play_list_opens_nothing(tmp_path):
    write(tmp_path / "a.ts", steady(5))
    lines = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(lines)
    with pytest.raises(VideoError):
        Video(tmp_path / "list.m3u8")


def test_a_file_cut_off_before_its_index(tmp_path):
    data = write(tmp_path / "a.mp4", steady(30), 320, 240).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 3])
    with pytest.raises(VideoError):
        Video(tmp_path / "cut.mp4")


def test_a_file_cut_off_after_its_index_gives_what_is_there(tmp_path):
    noisy = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), np.uint8)
    data = write(tmp_path / "a.mkv", steady(40), images=list(noisy)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    frames, _ = read(tmp_path / "cut.mkv")
    assert 5 < len(frames) < 40
    assert [frame.time for frame in frames] == steady(40)[: len(frames)]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_damage_is_survived_and_counted(tmp_path, name):
    noisy = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8)
    path = write(tmp_path / name, steady(60), images=list(noisy), interval=10)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = b"\xaa" * 3000
    path.write_bytes(bytes(data))
    frames, video = read(path)
    assert video.damaged > 0
    assert 40 < len(frames) <= 60
    assert all(a.time < b.time for a, b in itertools.pairwise(frames))


@pytest.mark.parametrize("begin", [0, 1, 17, 29])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_reading_begins_again_at_a_mark(tmp_path, name, begin):
    path = write(tmp_path / name, steady(30))
    whole, _ = read(path)
    rest, _ = read(path, begin=Mark(begin, whole[begin].time))
    assert [(f.index, f.time) for f in rest] == [(f.index, f.time) for f in whole[begin:]]
    for one, other in zip(rest, whole[begin:], strict=True):
        assert np.array_equal(one.image, other.image)


def test_a_mark_that_no_frame_has_is_found_by_counting(tmp_path):
    path = write(tmp_path / "a.mp4", steady(10))
    rest, _ = read(path, begin=Mark(4, Fraction(1, 7)))
    assert [frame.index for frame in rest] == [4, 5, 6, 7, 8, 9]


def test_unwanted_frames_are_left_out(tmp_path):
    path = write(tmp_path / "a.mp4", steady(10))
    frames, _ = read(path, wanted=lambda index: index % 4 == 0)
    assert [frame.index for frame in frames] == [0, 4, 8]


def test_running_ahead_is_bounded_and_ends_with_the_reader():
    made = []

    def items():
        try:
            for number in itertools.count():
                made.append(number)
                yield number
        finally:
            made.append("closed")

    before = threading.active_count()
    running = ahead(items(), depth=3)
    assert [next(running) for _ in range(5)] == [0, 1, 2, 3, 4]
    running.close()
    assert made[-1] == "closed"
    assert len(made) <= 5 + 3 + 2 + 1
    assert threading.active_count() == before


def test_an_error_ahead_is_raised_where_it_is_met():
    def items():
        yield 1
        raise VideoError("broken")

    running = ahead(items())
    assert next(running) == 1
    with pytest.raises(VideoError, match="broken"):
        next(running)


def frames_of(images, times):
    return [Frame("x", i, t, im) for i, (im, t) in enumerate(zip(images, times, strict=True))]


@pytest.mark.parametrize(("width", "height"), [(64, 48), (63, 47)])
def test_written_frames_come_back_with_their_times(tmp_path, width, height):
    times = [Fraction(t, 12_800) for t in (0, 512, 1100, 1101, 9000)]
    images = [numbered(i, width, height) for i in range(5)]
    with Writer(tmp_path / "out.mp4", Fraction(1, 12_800)) as writer:
        for frame in frames_of(images, times):
            writer.write(frame)
    frames, _ = read(tmp_path / "out.mp4")
    assert [frame.time for frame in frames] == times
    for frame, image in zip(frames, images, strict=True):
        assert np.abs(frame.image.astype(int) - image).mean() < 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def packets(path):
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.size
        ]


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_sound_goes_over_as_it_is(tmp_path, name):
    source = write(tmp_path / "in.mp4", steady(25), sound=1.0)
    with Video(source) as video, Writer(tmp_path / name, sound=source) as writer:
        for frame in video.frames():
            writer.write(frame)
    before, after = packets(source), packets(tmp_path / name)
    if name == "out.mkv":  # whose clock begins at 0: the encoder's run-in is left out
        before = [(time, data) for time, data in before if time >= 0]
    assert [data for _, data in after] == [data for _, data in before]
    for (time, _), (earlier, _) in zip(after, before, strict=True):
        assert abs(time - earlier) <= Fraction(1, 500)
    assert Video(tmp_path / name).facts.audio == "aac"


def test_nothing_is_left_of_a_video_that_fails(tmp_path):
    def failing():
        with Writer(tmp_path / "out.mp4") as writer:
            writer.write(frames_of([numbered(0, 64, 48)], [Fraction(0)])[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match=r"\.mp4"):
        Writer(tmp_path / "out.txt")
    with pytest.raises(OutputError):
        Writer(tmp_path / "missing" / "out.mp4")
    with pytest.raises(VideoError, match="no frame"), Writer(tmp_path / "out.mp4"):
        pass
    assert not list(tmp_path.iterdir())


def test_the_size_may_not_change(tmp_path):
    images = [numbered(0, 64, 48), numbered(1, 32, 48)]
    first, second = frames_of(images, steady(2))

    def write_both():
        with Writer(tmp_path / "out.mp4") as writer:
            writer.write(first)
            writer.write(second)

    with pytest.raises(ValueError, match="32 x 48"):
        write_both()


@pytest.mark.parametrize(
    ("size", "codec"), [((64, 48), "libx264"), ((60, 44), "libx264"), ((64, 48), "ffv1")]
)
def test_cells_of_a_frame_without_its_pixels(tmp_path, size, codec):
    rng = np.random.default_rng(3)
    width, height = size
    images = []
    for _ in range(4):
        coarse = rng.integers(30, 220, (-(-height // 8), -(-width // 8), 3), np.uint8)
        images.append(np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width])
    path = write(tmp_path / "a.mkv", steady(4), width, height, images=images, codec=codec)
    with Video(path) as video:
        stills, frames = list(video.stills()), list(video.frames())
    for still, frame in zip(stills, frames, strict=True):
        assert (still.index, still.time) == (frame.index, frame.time)
        assert np.array_equal(still.frame().image, frame.image)
        expected = cells_of(frame.image)
        assert still.cells.shape == expected.shape == (-(-height // 8), -(-width // 8), 3)
        # Colours out of RGB's reach are cut in the one and not in the other.
        assert np.abs(still.cells - expected).max() < 8
        assert np.abs(still.cells - expected).mean() < 1.5


def test_stills_begin_again_at_a_mark(tmp_path):
    path = write(tmp_path / "a.mp4", steady(20))
    with Video(path) as video:
        whole = list(video.stills())
        rest = list(video.stills(video.mark(whole[13])))
    assert [one.index for one in rest] == list(range(13, 20))
    for one, other in zip(rest, whole[13:], strict=True):
        assert np.array_equal(one.cells, other.cells)


def test_a_codec_that_is_not_there(tmp_path):
    data = write(tmp_path / "a.mkv", steady(3)).read_bytes()
    assert data.count(b"V_MPEG4/ISO/AVC") == 1
    (tmp_path / "odd.mkv").write_bytes(data.replace(b"V_MPEG4/ISO/AVC", b"V_NOBODYSCODECX"))
    with pytest.raises(VideoError, match="codec"):
        Video(tmp_path / "odd.mkv")


@contextlib.contextmanager
def disk_of(size):
    """No file can grow beyond so many bytes, as where the disk is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_half_a_video(tmp_path):
    noisy = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8)

    def fill():
        with Writer(tmp_path / "out.mkv") as writer:
            for frame in frames_of(list(noisy), steady(60)):
                writer.write(frame)

    with disk_of(30_000), pytest.raises(OutputError, match="cannot be written"):
        fill()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_keeps_what_the_journal_holds(tmp_path):
    rng = np.random.default_rng(0)
    face = Face([10, 10, 50, 50], [[30, 30]] * 5, 0.9)

    def entry(index):
        image = rng.integers(0, 255, (64, 64, 3), np.uint8)
        return Entry(index, Fraction(index), 0, False, (face,), {}, {0: crop(image, face)})

    def fill(journal):
        for index in range(100):
            journal.write(entry(index))

    with Journal(tmp_path / "journal", {}) as journal:
        with disk_of(200_000), pytest.raises(OutputError, match="cannot be written"):
            fill(journal)
        written = journal.looks
    with Journal(tmp_path / "journal", {}) as journal:
        found = list(journal.replay())
    assert [one.index for one in found] == list(range(len(found)))
    assert 5 < len(found) <= written + 1
