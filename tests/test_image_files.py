from __future__ import annotations

import json
import os
import resource
import stat
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facecctv.errors import ImageError, OutputError
from facecctv.image import (
    decode,
    encode,
    find,
    letterbox,
    pad_to_multiple,
    read,
    read_metadata,
    resize,
    shown,
    tiles,
    write_atomic,
)


def ramp(width, height):
    """Red grows to the right, green downwards: a pixel tells where it comes from."""
    image = np.full((height, width, 3), 60, np.uint8)
    image[..., 0] = np.linspace(20, 230, width).round()
    image[..., 1] = np.linspace(20, 230, height).round()[:, None]
    return image


class TestEncode:
    @pytest.mark.parametrize(("format", "tolerance"), [("png", 0), ("jpeg", 6), ("webp", 12)])
    def test_there_and_back(self, format, tolerance):
        picture = decode(encode(ramp(80, 50), format))
        assert picture.format == format
        assert np.abs(picture.image.astype(int) - ramp(80, 50)).max() <= tolerance

    @pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
    @pytest.mark.parametrize(
        "words", [{}, {"tool": "FaceCCTV"}, {"a": "ä 顔 🙂\nline", "steps": json.dumps([1, "b"])}]
    )
    def test_metadata(self, format, words):
        data = encode(ramp(9, 9), format, metadata=words)
        assert read_metadata(data) == words
        assert decode(data).notes == ()

    def test_nobody_elses_words(self):
        assert read_metadata(encode(ramp(4, 4), "jpeg")) == {}
        with pytest.raises(ImageError):
            read_metadata(b"text")

    def test_a_lone_surrogate_does_not_break_the_file(self):
        for format in ("png", "jpeg", "webp"):
            data = encode(ramp(4, 4), format, metadata={"name": "a\udcff"})
            assert read_metadata(data)["name"].startswith("a")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"format": "bmp"}, "format"),
            ({"quality": 0}, "quality"),
            ({"quality": 101}, "quality"),
            ({"metadata": {"": "x"}}, "key"),
            ({"metadata": {"ä": "x"}}, "key"),
            ({"metadata": {"x" * 80: "x"}}, "key"),
        ],
    )
    def test_arguments(self, options, message):
        with pytest.raises(ValueError, match=message):
            encode(ramp(2, 2), **options)

    def test_what_a_format_cannot_hold(self):
        with pytest.raises(OutputError, match="webp holds at most 16383"):
            encode(ramp(16_384, 1), "webp")
        with pytest.raises(OutputError, match="does not fit"):
            encode(ramp(2, 2), "jpeg", metadata={"long": "x" * 70_000})
        assert read_metadata(encode(ramp(2, 2), "png", metadata={"long": "x" * 70_000}))["long"]

    def test_views_are_as_good_as_arrays(self):
        view = ramp(40, 30)[::-1, ::2]
        np.testing.assert_array_equal(decode(encode(view)).image, view)


class TestWriteAtomic:
    def test_writes_and_replaces(self, tmp_path):
        path = tmp_path / "out.bin"
        write_atomic(path, b"one")
        write_atomic(str(path), b"two")
        assert path.read_bytes() == b"two"
        assert os.listdir(tmp_path) == ["out.bin"]

    def test_ordinary_permissions(self, tmp_path):
        (tmp_path / "plain").touch()
        write_atomic(tmp_path / "out", b"")
        modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "out")}
        assert len(modes) == 1

    def test_relative_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_atomic("out", b"x")
        assert (tmp_path / "out").read_bytes() == b"x"

    @pytest.mark.parametrize("name", ["folder", "missing/out", "file/out", "zero\0byte", "x" * 300])
    def test_impossible_targets(self, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="cannot be written") as caught:
            write_atomic(name, b"x")
        assert str(caught.value).isprintable()
        assert sorted(os.listdir(tmp_path)) == ["file", "folder"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_no_permission(self, tmp_path):
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(OutputError, match="Permission denied"):
                write_atomic(tmp_path / "out", b"x")
        finally:
            tmp_path.chmod(0o700)

    def test_no_room(self, tmp_path):
        """The system itself stops the file at 4096 bytes, as a full disk would."""
        path = tmp_path / "out"
        path.write_bytes(b"old")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            with pytest.raises(OutputError, match="too large"):
                write_atomic(path, bytes(100_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["out"]

    def test_interrupted(self, tmp_path, monkeypatch):
        def interrupt(_):
            assert len(os.listdir(tmp_path)) == 1
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomic(tmp_path / "out", b"x")
        assert os.listdir(tmp_path) == []


class TestFind:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ["b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "sub/c.webp", "sub/.git/d.jpg"]:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ([], []),
            (["b.jpg"], ["b.jpg"]),
            (["notes.txt"], ["notes.txt"]),
            (["missing.jpg"], ["missing.jpg"]),
            (["nothing*"], ["nothing*"]),
            (["."], ["./a.PNG", "./b.jpg", "./sub/c.webp"]),
            (["sub", "b.jpg"], ["sub/c.webp", "b.jpg"]),
            (["*.[jt]*"], ["b.jpg", "notes.txt"]),
            (["**/*.webp"], ["sub/c.webp"]),
            (["s*"], ["sub/c.webp"]),
            (["./sub/", "./b.jpg"], ["./sub/c.webp", "./b.jpg"]),
            (["zero\0byte"], ["zero\0byte"]),
            (["zero\0byte/*"], ["zero\0byte/*"]),
            (["half\ud800/*"], ["half\ud800/*"]),
        ],
    )
    def test_table(self, folder, given, expected):
        assert list(find(given)) == expected

    def test_a_name_with_brackets_is_a_name_if_it_exists(self, folder):
        (folder / "x[1].jpg").touch()
        assert list(find(["x[1].jpg"])) == ["x[1].jpg"]

    def test_loops_end(self, folder):
        (folder / "sub" / "up").symlink_to(folder)
        (folder / "self").symlink_to("self")
        (folder / "dangling.jpg").symlink_to("gone")
        found = list(find(["."]))
        assert found == ["./a.PNG", "./b.jpg", "./dangling.jpg", "./sub/c.webp"]

    def test_names_that_are_not_unicode(self, folder):
        name = os.fsdecode(b"\xff\xfe.jpg")
        (folder / name).write_bytes(encode(ramp(3, 3)))
        (path,) = (path for path in find([folder]) if os.path.basename(path) == name)
        assert read(path).width == 3
        assert shown(os.path.basename(path)) == "\\udcff\\udcfe.jpg"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
    def test_unreadable_folder_is_reported(self, folder):
        (folder / "sub").chmod(0)
        try:
            found = list(find(["."]))
            assert found[-1] == "./sub"
            with pytest.raises(ImageError, match="Permission denied"):
                read(found[-1])
        finally:
            (folder / "sub").chmod(0o700)

    @settings(deadline=None)
    @given(st.text(st.characters(), max_size=20))
    def test_shown_is_one_printable_line(self, name):
        line = shown(name)
        assert line.isprintable()
        assert line.encode().decode() == line


class TestResize:
    @pytest.mark.parametrize(
        ("size", "target"),
        [
            ((60, 40), (60, 40)),
            ((60, 40), (30, 20)),
            ((60, 40), (240, 160)),
            ((60, 40), (30, 160)),
            ((60, 40), (240, 20)),
            ((1, 1), (50, 40)),
            ((60, 40), (1, 1)),
            ((1, 5000), (10, 50)),
            ((50_000, 1), (500, 3)),
        ],
    )
    def test_shape_and_place(self, size, target):
        result = resize(ramp(*size), *target)
        assert result.shape == (target[1], target[0], 3)
        assert result.dtype == np.uint8
        assert abs(result.mean() - ramp(*size).mean()) < 2
        if min(*size, *target) > 1:
            assert abs(int(result[0, -1, 0]) - 230) < 6
            assert abs(int(result[-1, 0, 1]) - 230) < 6

    def test_shrinking_averages(self):
        board = np.zeros((64, 64, 3), np.uint8)
        board[::2, ::2] = board[1::2, 1::2] = 200
        assert (resize(board, 32, 32) == 100).all()
        assert (resize(board, 32, 200) == 100).all()

    def test_always_a_new_array(self):
        image = ramp(5, 5)
        assert not np.shares_memory(resize(image, 5, 5), image)

    @pytest.mark.parametrize("call", [resize, letterbox])
    def test_no_pixels(self, call):
        with pytest.raises(ValueError, match="at least one pixel"):
            call(ramp(5, 5), 0, 5)


class TestLetterbox:
    @pytest.mark.parametrize(
        ("size", "target", "scale", "dx", "dy"),
        [
            ((640, 480), (640, 640), 1.0, 0, 80),
            ((1280, 720), (640, 640), 0.5, 0, 140),
            ((50, 100), (200, 200), 2.0, 50, 0),
            ((1, 5000), (320, 320), 0.064, 159, 0),
            ((1, 1), (7, 9), 7.0, 0, 1),
        ],
    )
    def test_table(self, size, target, scale, dx, dy):
        result, *found = letterbox(ramp(*size), *target, fill=7)
        assert result.shape == (target[1], target[0], 3)
        assert found == [pytest.approx(scale), dx, dy]
        inside = (result != 7).any(axis=2)
        assert inside.any(axis=0).sum() == max(1, round(size[0] * scale))
        assert inside.any(axis=1).sum() == max(1, round(size[1] * scale))

    @pytest.mark.parametrize(
        ("size", "target"),
        [((1919, 1077), (640, 640)), ((333, 501), (640, 320)), ((37, 61), (100, 100))],
    )
    def test_scale_and_offset_are_true(self, size, target):
        """Bright dots are found where the returned numbers put them, within 0.1 pixel."""
        width, height = size
        image = np.zeros((height, width, 3), np.uint8)
        y, x = np.mgrid[:height, :width] + 0.5
        radius = max(width, height) / 60
        for at in [(0.2, 0.2), (0.8, 0.5), (0.9, 0.9)]:
            cx, cy = at[0] * width, at[1] * height
            dot = 255 * np.exp(-(np.square(x - cx) + np.square(y - cy)) / radius**2)
            image[..., 0] = np.maximum(image[..., 0], dot.astype(np.uint8))
        result, scale, dx, dy = letterbox(image, *target, fill=0)
        v, u = np.mgrid[: target[1], : target[0]] + 0.5
        for at in [(0.2, 0.2), (0.8, 0.5), (0.9, 0.9)]:
            expected = at[0] * width * scale + dx, at[1] * height * scale + dy
            near = np.hypot(u - expected[0], v - expected[1]) < 4 * radius * scale
            mass = result[..., 0] * near
            centroid = (u * mass).sum() / mass.sum(), (v * mass).sum() / mass.sum()
            assert np.hypot(*np.subtract(centroid, expected)) < 0.1


class TestPad:
    @pytest.mark.parametrize(
        ("size", "padded"), [((64, 32), (64, 32)), ((65, 1), (96, 32)), ((1, 1), (32, 32))]
    )
    def test_table(self, size, padded):
        image = ramp(*size)
        result = pad_to_multiple(image, fill=9)
        assert result.shape == (padded[1], padded[0], 3)
        np.testing.assert_array_equal(result[: size[1], : size[0]], image)
        assert (result[size[1] :] == 9).all()
        assert (result[:, size[0] :] == 9).all()


class TestTiles:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ((1, 1, 640, 100), [(0, 0, 1, 1)]),
            ((640, 640, 640, 100), [(0, 0, 640, 640)]),
            ((641, 10, 640, 100), [(0, 0, 640, 10), (1, 0, 641, 10)]),
            ((10, 20, 10, 0), [(0, 0, 10, 10), (0, 10, 10, 20)]),
            ((25, 5, 10, 2), [(0, 0, 10, 5), (8, 0, 18, 5), (15, 0, 25, 5)]),
        ],
    )
    def test_table(self, arguments, expected):
        assert tiles(*arguments) == expected

    @pytest.mark.parametrize("arguments", [(0, 5, 10, 2), (5, 5, 10, 10), (5, 5, 10, -1)])
    def test_arguments(self, arguments):
        with pytest.raises(ValueError):
            tiles(*arguments)

    @settings(deadline=None)
    @given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 120), st.data())
    def test_cover_equal_overlap(self, width, height, size, data):
        overlap = data.draw(st.integers(0, size - 1).filter(lambda o: size - o >= size / 8))
        windows = tiles(width, height, size, overlap)
        covered = np.zeros((height, width), bool)
        for x1, y1, x2, y2 in windows:
            assert (x2 - x1, y2 - y1) == (min(size, width), min(size, height))
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
            covered[y1:y2, x1:x2] = True
        assert covered.all()
        starts = sorted({window[0] for window in windows})
        assert all(a + size - b >= overlap for a, b in pairwise(starts))
        assert len(set(windows)) == len(windows)
