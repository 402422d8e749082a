"""Chains of steps: their grammar, their classes, their record, and doing them again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from facecctv.errors import ImageError, LimitError, SettingError
from facecctv.evidence.provenance import Output, Record, embedded, marks, versions
from facecctv.evidence.steps import (
    KNOWN,
    Chain,
    Colourise,
    Enhance,
    Process,
    Step,
    Tool,
)
from facecctv.image import resize
from facecctv.types import Origin
from facecctv.vision.filters import Crop, Deblur, Denoise, Levels, Perspective, Rotate

SHA = "a" * 64
EXAMPLE = "denoise:h=5,levels:auto,enhance:x4"


WORDS = (
    *("denoise", "levels", "crop", "enhance", "h", "low", "auto", "x", "5", "300", "-1", "on"),
    *(":", ":", ",", ",", "=", "=", " ", "\n", "", "ä", "\x00"),
)


def no_tools(step):
    raise AssertionError(f"no model is needed, but {step} asked for one")


def tools(step):
    """Nearest neighbours for an enhancer, red for a colouriser."""
    if isinstance(step, Enhance):
        found_by = Origin("face-detector", "1", "c" * 64, "learned") if step.faces_only else None
        return Tool(
            lambda image: image.repeat(step.scale, axis=0).repeat(step.scale, axis=1),
            Origin(f"enhancer-x{step.scale}", "3", SHA, "learned"),
            found_by,
        )
    return Tool(lambda image: image // 2 + 100, Origin("colouriser", "1", "b" * 64, "generative"))


@pytest.fixture
def image():
    return np.random.default_rng(3).integers(0, 256, (20, 30, 3)).astype(np.uint8)


class TestGrammar:
    def test_the_example_of_the_documentation(self):
        assert Chain.parse(EXAMPLE).steps == (Denoise(h=5), Levels(low="auto"), Enhance(scale=4))

    @pytest.mark.parametrize(
        ("text", "steps"),
        [
            ("denoise", (Denoise(),)),
            ("denoise:8", (Denoise(h=8),)),
            (" denoise : h = 8 : colour = 2 , levels ", (Denoise(h=8, colour=2), Levels())),
            ("levels:16:high=235", (Levels(low=16, high=235),)),
            ("deblur:method=wiener:sigma=1.5", (Deblur(method="wiener", sigma=1.5),)),
            ("deblur:richardson-lucy", (Deblur(method="richardson-lucy"),)),
            ("denoise,denoise", (Denoise(), Denoise())),
            ("rotate:-1.5", (Rotate(angle=-1.5),)),
            ("crop:1:y=2:width=3:height=4", (Crop(x=1, y=2, width=3, height=4),)),
            ("enhance:2", (Enhance(scale=2),)),
            ("enhance:scale=x2:faces-only=on", (Enhance(scale=2, faces_only=True),)),
            ("colourise:force=yes", (Colourise(force=True),)),
            (
                "perspective:0x0.5:top-right=9x0:bottom-right=9x-0.5e1:bottom-left=0x7",
                None,
            ),
            (
                "perspective:0x0.5:top-right=9x0:bottom_right=9x9:bottom-left=0x7",
                (
                    Perspective(
                        top_left=(0, 0.5), top_right=(9, 0), bottom_right=(9, 9), bottom_left=(0, 7)
                    ),
                ),
            ),
        ],
    )
    def test_sentences(self, text, steps):
        if steps is None:
            with pytest.raises(SettingError, match="convex"):
                Chain.parse(text)
        else:
            assert Chain.parse(text).steps == steps

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "no steps; known: denoise, deblock"),
            (" ", "no steps"),
            (",", "a step is missing"),
            ("denoise,", "a step is missing"),
            (":h=5", "a step is missing"),
            (
                "denois",
                r"unknown step 'denois' \(did you mean denoise\?\); known: denoise, .*resize",
            ),
            ("Denoise", "unknown step 'Denoise' .did you mean denoise"),
            ("zzz", "unknown step 'zzz'; known: denoise"),
            (
                "denoise:color=3",
                r"no parameter 'color' \(did you mean colour\?\); it has: h, colour",
            ),
            ("denoise:zz=3", "no parameter 'zz'; it has: h, colour, patch, window"),
            ("denoise:h=5:h=6", "denoise: 'h' is given twice"),
            ("denoise:5:h=6", "denoise: 'h' is given twice"),
            ("denoise:h=5:6", "denoise: '6' is no parameter; they are written as key=value"),
            ("denoise:", "denoise: '' is no parameter"),
            ("denoise:h=", "denoise: h must be a valid number, not ''"),
            ("denoise:h=500", "denoise: h must be less than or equal to 100, not '500'"),
            ("denoise:h=nan", "denoise: h must be a finite number, not 'nan'"),
            ("denoise:h=5=6", "denoise: h must be a valid number"),
            ("levels:dark", "levels: low must be a valid integer or 'auto', not 'dark'"),
            ("levels:20:high=10", "levels: low must be less than high"),
            ("deblur:length=4", "deblur: length belongs to kernel=motion"),
            ("crop:1", "crop: y is required"),
            ("perspective:1", "perspective: top_left must be a point such as 120.5x80, not '1'"),
            ("enhance:x3", "enhance: scale must be 2 or 4"),
            ("enhance:strength=2", "enhance: strength must be less than or equal to 1"),
        ],
    )
    def test_what_is_no_sentence_says_why_in_one_line(self, text, message):
        with pytest.raises(SettingError, match=message) as caught:
            Chain.parse(text)
        assert "\n" not in str(caught.value)

    @given(st.lists(st.sampled_from(WORDS), max_size=12).map("".join))
    def test_any_text_is_read_or_refused(self, text):
        try:
            chain = Chain.parse(text)
        except SettingError as error:
            said = str(error)
        else:
            said = ""
            assert Chain.parse(str(chain)) == chain
        assert "\n" not in said

    @pytest.mark.parametrize("name", KNOWN)
    def test_the_page_on_steps_has_every_parameter_and_default(self, name):
        page = (Path(__file__).parent.parent / "docs" / "steps.md").read_text(encoding="utf-8")
        section = page.partition(f"\n### {name}\n")[2].partition("\n##")[0]
        rows = [row for row in section.splitlines() if row.startswith("|")]
        for number, (field, facts) in enumerate(KNOWN[name].model_fields.items()):
            row = next(row for row in rows if re.search(rf"\b{field}\b", row.split("|")[1]))
            assert ("**" in row) == (number == 0 or row is rows[2])
            default = row.split("|")[3].strip()
            if isinstance(facts.default, bool):
                assert default == ("on" if facts.default else "off")
            elif isinstance(facts.default, int | float):
                assert float(default.removeprefix("x")) == facts.default
            elif isinstance(facts.default, str):
                assert default == facts.default

    def test_a_chain_has_steps(self):
        with pytest.raises(SettingError, match="at least one"):
            Chain(())


numbers = st.floats(0, 100, allow_nan=False)
levels = st.one_of(st.just("auto"), st.integers(0, 255))
chains = st.lists(
    st.one_of(
        st.builds(Denoise, h=numbers, colour=numbers, patch=st.sampled_from([3, 7, 51])),
        st.builds(Deblur, noise=st.floats(0.1, 100)),
        st.builds(
            Deblur,
            method=st.just("richardson-lucy"),
            kernel=st.just("motion"),
            length=st.floats(1, 100),
            angle=st.floats(-180, 180),
            iterations=st.integers(1, 200),
        ),
        st.builds(Levels, low=st.integers(0, 99), high=st.integers(100, 255)),
        st.builds(Levels, clip=st.floats(0, 49)),
        st.builds(
            Perspective,
            top_left=st.tuples(st.floats(-5, 5), st.floats(-5, 5)),
            top_right=st.tuples(st.floats(20, 30), st.floats(-5, 5)),
            bottom_right=st.tuples(st.floats(20, 30), st.floats(20, 30)),
            bottom_left=st.tuples(st.floats(-5, 5), st.floats(20, 30)),
        ),
        st.builds(
            Enhance,
            scale=st.sampled_from([2, 4]),
            strength=st.floats(0, 1),
            luminance=st.sampled_from(["auto", "on", "off"]),
            faces_only=st.booleans(),
        ),
        st.builds(Colourise, saturation=st.floats(0, 4), force=st.booleans()),
    ),
    min_size=1,
    max_size=4,
).map(lambda steps: Chain(tuple(steps)))


class TestRoundTrips:
    @given(chains)
    def test_written_and_read(self, chain):
        assert Chain.parse(str(chain)) == chain

    @given(chains)
    def test_recorded_as_json_and_made_again(self, chain):
        steps = Process(chain, tools).steps
        texts = [step.model_dump_json(exclude_none=True) for step in steps]
        assert Chain.of(Step.model_validate_json(text) for text in texts) == chain

    def test_json_has_the_agreed_keys(self):
        filtered, made = Process(Chain.parse("gamma:2,enhance:x2:faces_only=on"), tools).steps
        assert json.loads(filtered.model_dump_json(exclude_none=True)) == {
            "name": "gamma",
            "class": "photometric",
            "parameters": {"value": 2.0},
        }
        assert json.loads(made.model_dump_json(exclude_none=True)) == {
            "name": "enhance",
            "class": "learned",
            "parameters": {"scale": 2, "strength": 1.0, "luminance": "auto", "faces_only": True},
            "model": "enhancer-x2",
            "model_version": "3",
            "model_sha256": SHA,
            "found_by": "face-detector",
            "found_by_sha256": "c" * 64,
        }

    def test_a_record_of_no_known_step_is_refused(self):
        step = Step(name="magic", step_class="learned")
        with pytest.raises(SettingError, match="unknown step 'magic'"):
            Chain.of([step])
        with pytest.raises(ValidationError):
            Step(name="x", step_class="divine")


class TestProcess:
    def test_in_order(self, image):
        chain = Chain.parse("crop:0:y=0:width=5:height=4,rotate:90,enhance:x2,colourise")
        process = Process(chain, tools)
        expected = np.rot90(image[:4, :5], -1).repeat(2, axis=0).repeat(2, axis=1) // 2 + 100
        assert (process(image) == expected).all()
        names = [(step.name, step.step_class) for step in process.steps]
        assert names == [
            ("crop", "geometric"),
            ("rotate", "geometric"),
            ("enhance", "learned"),
            ("colourise", "generative"),
        ]
        assert chain.size_after(30, 20) == (8, 10)

    def test_replayed_it_gives_the_same_bytes(self, image):
        text = "deinterlace,denoise:h=9,deblur:sigma=1,clahe,sharpen,levels:auto,deblock,rotate:7"
        first = Process(Chain.parse(text), no_tools)
        done = first(image)
        record = "[" + ",".join(step.model_dump_json() for step in first.steps) + "]"
        steps = [Step.model_validate(step) for step in json.loads(record)]
        again = Process(Chain.of(steps), no_tools)(image.copy())
        assert done.tobytes() == again.tobytes()
        assert tuple(steps) == first.steps

    def test_the_source_is_left_alone(self, image):
        before = image.copy()
        Process(Chain.parse("levels,colourise"), tools)(image)
        assert (image == before).all()

    def test_models_are_asked_for_once(self, image):
        asked = []

        def counting(step):
            asked.append(step)
            return tools(step)

        process = Process(Chain.parse("gamma,enhance:x2,colourise"), counting)
        process(image)
        process(image)
        assert asked == [Enhance(scale=2), Colourise()]

    @pytest.mark.parametrize("text", ["colourise", "denoise,colourise:force=on", EXAMPLE])
    def test_forensic_refuses_what_is_generative(self, text):
        chain = Chain.parse(text)
        if "colourise" in text:
            with pytest.raises(SettingError, match="no generative step, and colourise is one"):
                Process(chain, no_tools, forensic=True)
        else:
            assert len(Process(chain, tools, forensic=True).steps) == 3

    def test_forensic_goes_by_the_model_not_by_the_name(self):
        def inventive(step):
            return Tool(lambda image: image, Origin("enhancer-detail", "1", SHA, "generative"))

        chain = Chain.parse("enhance")
        assert Process(chain, inventive).steps[0].step_class == "generative"
        with pytest.raises(SettingError, match="enhance is one"):
            Process(chain, inventive, forensic=True)

    def test_every_step_has_a_class(self):
        classes = {kind.step for kind in KNOWN.values()}
        assert classes == {"geometric", "photometric", "learned", "generative"}

    @pytest.mark.parametrize(
        "error", [MemoryError(), "too much for OpenCV"], ids=["python", "opencv"]
    )
    def test_out_of_memory_names_the_step_and_the_size(self, image, error):
        def fail(picture):
            if isinstance(error, MemoryError):
                raise error
            made = cv2.error(error)
            made.code = cv2.Error.STS_NO_MEM
            raise made

        process = Process(
            Chain.parse("enhance"), lambda step: Tool(fail, Origin("e", "1", SHA, "learned"))
        )
        with pytest.raises(LimitError, match="not enough memory for enhance on 30 x 20 pixels"):
            process(image)

    def test_other_errors_of_opencv_are_bugs(self, image):
        def fail(picture):
            raise cv2.error("something else")

        process = Process(
            Chain.parse("enhance"), lambda step: Tool(fail, Origin("e", "1", SHA, "learned"))
        )
        with pytest.raises(cv2.error):
            process(image)


class TestSizes:
    def test_the_limit_holds_for_every_step(self):
        chain = Chain.parse("enhance:x4,resize:0.1")
        assert chain.size_after(30, 20) == (12, 8)
        assert chain.size_after(30, 20, 9600) == (12, 8)
        with pytest.raises(LimitError, match=r"enhance makes 120 x 80 pixels, .* limit of 9,599"):
            chain.size_after(30, 20, 9599)

    def test_what_cannot_be_done_is_known_before(self):
        with pytest.raises(ImageError, match="crop reaches out"):
            Chain.parse("crop:0:y=0:width=31:height=1").size_after(30, 20)

    def test_plain_is_the_picture_without_what_was_added(self, image):
        chain = Chain.parse("gamma:3,rotate:90,enhance:x2,crop:0:y=0:width=10:height=8,colourise")
        expected = resize(np.rot90(image, -1).copy(), 40, 60)[:8, :10]
        assert (chain.plain(image) == expected).all()
        assert (Chain.parse("gamma:3").plain(image) == image).all()


class TestProvenance:
    def test_marks(self):
        def of(text):
            return marks(Process(Chain.parse(text), tools).steps)

        assert of("denoise,rotate") == {}
        assert list(of("enhance")) == ["detail"]
        assert list(of("colourise")) == ["colour"]
        assert list(of("enhance,colourise")) == ["detail", "colour"]

    def test_embedded_words(self):
        steps = Process(Chain.parse("gamma,colourise"), tools).steps
        words = embedded(SHA, steps, "1.2")
        assert list(words) == ["Software", "Source SHA-256", "Steps", "Colour"]
        assert words["Source SHA-256"] == SHA
        assert words["Software"] == "FaceCCTV 1.2"
        assert [Step.model_validate(step) for step in json.loads(words["Steps"])] == list(steps)
        assert "estimated" in words["Colour"]

    def test_versions_of_what_had_a_say(self):
        gamma, colour = Process(Chain.parse("gamma,colourise"), tools).steps
        assert set(versions([gamma], "1.2")) == {"facecctv", "python", "numpy", "opencv", "pillow"}
        assert versions([colour], "1.2")["onnxruntime"]

    def test_record_round_trip(self):
        steps = Process(Chain.parse(EXAMPLE), tools).steps
        record = Record(
            source="a.png",
            sha256=SHA,
            width=3,
            height=2,
            output=Output(file="a-enhanced.png", sha256=SHA, width=12, height=8),
            steps=steps,
            versions=versions(steps, "1.2"),
            **marks(steps),
        )
        text = record.to_json()
        assert Record.model_validate_json(text) == record
        assert "change_map" not in json.loads(text)
        assert json.loads(text)["steps"][0]["class"] == "photometric"
