from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from facecctv import draw
from facecctv.draw import AMBER, GREEN, RED, Cell, contact_sheet, outline
from facecctv.types import Body, Face


def face(x1, y1, x2, y2):
    width, height = x2 - x1, y2 - y1
    places = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    return Face(np.array([x1, y1, x2, y2]), places * (width, height) + (x1, y1), 0.9)


def ground(width=320, height=240, level=128):
    return np.full((height, width, 3), level, np.uint8)


def changed(before, after):
    return (before != after).any(axis=2)


class TestOutline:
    def test_nothing_to_mark(self):
        image = ground()
        result = outline(image, [])
        np.testing.assert_array_equal(result, image)
        assert not np.shares_memory(result, image)

    def test_the_line_surrounds_the_box_and_hides_nothing_in_it(self):
        image = ground()
        result = outline(image, [face(100, 80, 120, 110)], colours=[RED])  # too small for dots
        np.testing.assert_array_equal(result[80:110, 100:120], image[80:110, 100:120])
        for y, x in [(79, 110), (110, 110), (95, 99), (95, 120)]:
            assert tuple(result[y, x]) == RED
        assert (image == 128).all()

    def test_of_a_body_only_the_corners_are_marked(self):
        image = ground()
        result = outline(image, [Body(np.array([100, 80, 160, 160]), 0.5)], colours=[RED])
        np.testing.assert_array_equal(result[80:160, 100:160], image[80:160, 100:160])
        corners = [(79, 99), (79, 160), (160, 99), (160, 160)]
        arms = [(79, 113), (98, 99), (79, 147), (98, 160), (160, 113), (142, 99), (142, 160)]
        for y, x in corners + arms:
            assert tuple(result[y, x]) == RED
        for y, x in [(79, 130), (160, 130), (120, 99), (120, 160)]:
            assert tuple(result[y, x]) == (128, 128, 128)

    @pytest.mark.parametrize("level", [0, 128, 255])
    def test_seen_on_any_ground(self, level):
        """The line or its rim differs clearly from the ground it lies on."""
        image = ground(level=level)
        result = outline(image, [face(100, 80, 160, 150)])
        across = np.abs(result[110, 96:101].astype(int) - level).max()
        assert across > 80

    def test_faces_and_bodies_differ(self):
        box = [100, 80, 160, 150]
        one = outline(ground(), [face(*box)])
        other = outline(ground(), [Body(np.array(box), 0.5)])
        assert changed(one, other).any()

    def test_line_grows_with_the_picture(self):
        def thickness(width, height):
            box = (width * 0.3, height * 0.3, width * 0.6, height * 0.6)
            result = outline(ground(width, height), [face(*box)], colours=[RED])
            return int((result[height * 45 // 100] == RED).all(axis=1).sum() // 2)

        assert [thickness(*size) for size in [(200, 150), (1920, 1080), (3840, 2160)]] == [1, 3, 6]

    def test_dots_only_where_they_fit(self):
        for width, expected in [(24, False), (120, True)]:
            image = ground()
            one = face(100, 80, 100 + width, 80 + width)
            inside = outline(image, [one])[80 : 80 + width, 100 : 100 + width]
            assert changed(inside, ground(width, width)).any() == expected
        x, y = np.round(face(100, 80, 220, 200).landmarks[2] - 0.5).astype(int)
        assert tuple(outline(image, [face(100, 80, 220, 200)])[y, x]) == GREEN

    @pytest.mark.parametrize("box", [(2, 2, 30, 30), (290, 210, 318, 238), (0, 0, 320, 240)])
    def test_labels_stay_in_the_picture(self, box):
        """Drawn on a larger canvas, the same label would not be cut: its plate is complete."""
        plain = outline(ground(), [face(*box)])
        labelled = outline(ground(), [face(*box)], ["7 · 28 px"])
        rows, columns = np.nonzero(changed(plain, labelled))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        middle = changed(
            outline(ground(), [face(150, 110, 178, 138)]),
            outline(ground(), [face(150, 110, 178, 138)], ["7 · 28 px"]),
        )
        rows, columns = np.nonzero(middle)
        assert abs(height - (np.ptp(rows) + 1)) <= 2
        assert abs(width - (np.ptp(columns) + 1)) <= 2

    def test_labels_avoid_faces_and_each_other(self):
        """Three faces in a row, so close that labels side by side would overlap."""
        faces = [face(100 + 40 * i, 100, 130 + 40 * i, 135) for i in range(3)]
        plain = outline(ground(), faces)
        together = changed(plain, outline(ground(), faces, ["label one"] * 3))
        for one in faces:
            x1, y1, x2, y2 = one.box.astype(int)
            assert not together[y1:y2, x1:x2].any()
        alone = changed(plain, outline(ground(), faces, ["label one", "", ""]))
        assert together.sum() > 2.9 * alone.sum()

    @pytest.mark.parametrize("size", [(1, 1), (5, 3), (1, 500), (500, 1), (20, 20), (200, 150)])
    def test_any_picture(self, size):
        marked = [face(-5, -5, 400, 400), face(0, 0, 1, 1), face(900, 900, 950, 950)]
        result = outline(ground(*size), marked, ["some long label"] * 3)
        assert result.shape == (size[1], size[0], 3)
        assert result.dtype == np.uint8

    def test_counts_must_agree(self):
        with pytest.raises(ValueError, match="2 labels for 1 boxes"):
            outline(ground(), [face(1, 1, 5, 5)], ["a", "b"])
        with pytest.raises(ValueError, match="1 colours for 0 boxes"):
            outline(ground(), [], colours=[RED])

    @settings(deadline=None, max_examples=60)
    @given(st.text(st.characters(), max_size=40))
    def test_any_text(self, text):
        result = outline(ground(120, 90), [face(40, 40, 80, 80)], [text])
        sheet = contact_sheet([Cell(ground(8, 8), text, (text,))])
        assert result.shape == (90, 120, 3)
        assert sheet.ndim == 3

    @pytest.mark.parametrize("text", ["Müller", "Łódź", "Привет", "顔"])
    def test_other_scripts_are_drawn(self, text):
        """Each as its own letters, not as so many question marks."""
        marked = [face(100, 100, 220, 200)]
        drawn = outline(ground(), marked, [text])
        assert changed(drawn, outline(ground(), marked, ["?" * len(text)])).any()

    @pytest.mark.parametrize(
        "text", ["\ud800", "a\udcffb", "\0", "x\ny", "\u202e\u0007", "🙂" * 99]
    )
    def test_text_that_is_hardly_text(self, text):
        assert outline(ground(), [face(100, 100, 150, 150)], [text]).shape == (240, 320, 3)


class TestContactSheet:
    def test_empty(self):
        sheet = contact_sheet([])
        assert changed(sheet, np.broadcast_to(sheet[0, 0], sheet.shape)).any()

    @pytest.mark.parametrize(
        ("count", "columns", "across", "down"),
        [(1, None, 1, 1), (4, None, 3, 2), (5, 2, 2, 3), (3, 9, 3, 1), (100, None, 6, 17)],
    )
    def test_grid(self, count, columns, across, down):
        one = contact_sheet([Cell(ground(9, 9), "a")], side=60)
        sheet = contact_sheet([Cell(ground(9, 9), "a")] * count, columns, side=60)
        gap = 6
        assert (sheet.shape[1] - gap) / (one.shape[1] - gap) == across
        assert (sheet.shape[0] - gap) / (one.shape[0] - gap) == down

    @pytest.mark.parametrize(
        ("size", "shown"),
        [
            ((10, 10), (220, 220)),
            ((440, 110), (220, 55)),
            ((3, 60), (11, 220)),
            ((1, 900), (1, 220)),
        ],
    )
    def test_pictures_are_shown_whole(self, size, shown):
        magenta = np.full((size[1], size[0], 3), (255, 0, 255), np.uint8)
        sheet = contact_sheet([Cell(magenta, "title", ("one", "two"), AMBER)])
        rows, columns = np.nonzero((sheet == (255, 0, 255)).all(axis=2))
        assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == shown
        assert len(rows) == shown[0] * shown[1]

    def test_mark_and_text_are_there(self):
        picture = data.astronaut()[60:200, 160:290]
        sheet = contact_sheet([Cell(picture, "Face 1", ("34 px",), RED)])
        assert (sheet == RED).all(axis=2).sum() >= 220 * 3
        assert changed(sheet, contact_sheet([Cell(picture, "Face 2", ("34 px",), RED)])).any()
        assert changed(sheet, contact_sheet([Cell(picture, "Face 1", ("35 px",), RED)])).any()

    def test_long_text_stays_on_its_card(self):
        cells = [Cell(ground(9, 9), "W" * 200, ("M" * 200,)), Cell(ground(9, 9), "", ("",))]
        sheet = contact_sheet(cells, columns=2)
        blank = contact_sheet([Cell(ground(9, 9), "", ("",))] * 2, columns=2)
        columns = np.nonzero(changed(sheet, blank))[1]
        assert columns.max() < sheet.shape[1] // 2

    @pytest.mark.parametrize("arguments", [{"columns": 0}, {"side": 10}])
    def test_arguments(self, arguments):
        with pytest.raises(ValueError, match="columns"):
            contact_sheet([], **arguments)

    def test_a_cell_wants_a_picture(self):
        with pytest.raises(ValueError, match="shape"):
            Cell(np.zeros((4, 4), np.uint8), "grey")


def test_the_colours_are_told_apart():
    tints = [draw.GREEN, draw.AMBER, draw.RED, draw.BLUE, draw.GREY]
    for index, one in enumerate(tints):
        for other in tints[:index]:
            assert np.abs(np.subtract(one, other)).max() > 60
