"""Videos that lie in memory instead of files."""

import contextlib
import errno
import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecctv.errors import OutputError, VideoError
from facecctv.footage.memory import Bytes, Sink, wipe
from facecctv.footage.video import Video
from facecctv.footage.writing import Writer, mp4_holds
from facecctv.types import Frame
from tests import clips


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "a.mp4"
    return clips.write(path, clips.steady(12), sound=0.5).read_bytes()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 12), st.just(0)),
        st.tuples(st.just("seek"), st.integers(0, 30), st.just(0)),
        st.tuples(st.just("seek"), st.integers(-3, 3), st.just(1)),
        st.tuples(st.just("seek"), st.integers(-20, 5), st.just(2)),
    ),
    max_size=8,
)


@given(st.binary(max_size=20), STEPS)
def test_bytes_read_as_a_file_does(content, steps):
    ours, theirs = Bytes(content), io.BytesIO(content)
    for what, number, whence in steps:
        if what == "read":
            assert ours.read(number) == theirs.read(number)
        elif whence == 1 and theirs.tell() + number < 0:
            continue
        else:
            assert ours.seek(number, whence) == theirs.seek(number, whence)
        assert ours.tell() == theirs.tell()


@given(st.lists(st.tuples(st.integers(0, 15), st.binary(max_size=10)), max_size=6))
def test_a_sink_is_written_as_a_file_is(pieces):
    grown: list[int] = []
    ours, theirs = Sink(grown=grown.append), io.BytesIO()
    for at, piece in pieces:
        for one in (ours, theirs):
            one.seek(at)
            assert one.write(piece) == len(piece)
    written = theirs.getvalue()
    assert bytes(ours.data[: len(written)]) == written
    assert sum(grown) == len(ours.data)


def test_a_full_sink_says_so():
    sink = Sink(most=4)
    sink.write(b"abc")
    with pytest.raises(OSError, match="larger than 4 bytes") as caught:
        sink.write(b"de")
    assert caught.value.errno == errno.ENOSPC
    sink.empty()
    assert bytes(sink.data) == bytes(3)


def test_what_is_wiped_keeps_its_size():
    content = bytearray(b"x" * 200_000)
    wipe(content)
    assert content == bytes(200_000)
    empty = bytearray()
    wipe(empty)
    assert empty == b""


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_video_in_memory_is_read_as_its_file(data, kind, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    ours, theirs = Video(kind(data)), Video(path)
    assert ours.facts == theirs.facts
    pairs = zip(ours.frames(), theirs.frames(), strict=True)
    for one, other in pairs:
        assert (one.index, one.time) == (other.index, other.time)
        assert np.array_equal(one.image, other.image)
    assert (ours.stream, theirs.stream) == ("memory", str(path))


def test_bytes_lead_to_no_other_file(tmp_path, data):
    (tmp_path / "a.mp4").write_bytes(data)
    for text in (
        f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/a.mp4\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {tmp_path}/a.mp4\n",
        f"ffconcat version 1.0\nfile 'file:{tmp_path}/a.mp4'\n",
    ):
        with pytest.raises(VideoError):
            Video(text.encode())


def test_a_header_that_is_cut_off_or_changed_is_an_error_or_a_video(data):
    rng = np.random.default_rng(0)
    header = data.find(b"moov")
    for _ in range(60):
        broken = bytearray(data)
        for at in rng.integers(header, len(data), rng.integers(0, 12)):
            broken[at] = rng.integers(256)
        end = rng.integers(header, len(data))
        with contextlib.suppress(VideoError):
            video = Video(broken[:end] if rng.random() < 0.5 else broken)
            assert all(frame.image.size for frame in video.frames())


def test_frames_larger_than_allowed_are_refused_before_they_are_decoded(data):
    with pytest.raises(VideoError, match="64 x 48 pixels are too large"):
        Video(data, most_pixels=64 * 48 - 1)
    assert Video(data, most_pixels=64 * 48).facts.width == 64


@pytest.mark.parametrize(("suffix", "name"), [(".mp4", "mov"), (".mkv", "matroska")])
def test_a_video_is_written_to_memory_with_its_sound(data, suffix, name):
    source, sink = Video(data), Sink()
    with Writer((sink, suffix), source.facts.time_base, sound=data) as writer:
        for frame in source.frames():
            writer.write(frame)
    made = Video(sink.data)
    assert name in made.facts.container
    assert made.facts.audio == "aac"
    assert [frame.time for frame in made.frames()] == clips.steady(12)


def test_what_does_not_become_whole_is_wiped(data):
    sink = Sink(most=3000)
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), np.uint8)

    def fill():
        with Writer((sink, ".mkv")) as writer:
            for index, image in enumerate(noise):
                writer.write(Frame("a", index, Fraction(index, 25), image))

    with pytest.raises(OutputError, match="larger than 3,000 bytes"):
        fill()
    assert not any(sink.data)
    with pytest.raises(OutputError, match=r"\.mp4, \.mkv"):
        Writer((Sink(), ".avi"))


@pytest.mark.parametrize(
    ("codec", "does"), [(None, True), ("aac", True), ("mp3float", True), ("pcm_mulaw", False)]
)
def test_which_sound_an_mp4_file_holds(codec, does):
    assert mp4_holds(codec) == does
