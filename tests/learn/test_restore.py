import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import math

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from facecctv import metrics
from facecctv.errors import ModelError
from facecctv.learn import restoring
from facecctv.learn.data.restore import (
    Camera,
    Patches,
    Sharp,
    bicubic,
    draw_patch,
    small_and_sharp,
    standard_small,
)
from facecctv.learn.evaluate_restoring import (
    SharpFace,
    luma,
    score_colour,
    score_restoration,
)
from facecctv.learn.export import check_parity, export
from facecctv.learn.loop import Schedule, fit
from facecctv.learn.nets.colouriser import CHROMA_UNIT, ColouriserNet, palette, shown_chroma
from facecctv.learn.nets.embedder import EmbedderNet
from facecctv.learn.nets.enhancer import EnhancerNet
from facecctv.learn.recipes import colouriser, enhancer

TINY = EnhancerNet(scale=4, widths=(8, 8, 8), blocks=(1, 1, 1))
TINY_COLOUR = ColouriserNet(stem=(8, 8), widths=(8, 8), blocks=(1, 1))


@pytest.fixture(scope="module")
def sharp():
    image = data.astronaut()
    aligned = np.stack([image[20:148, 160:288], image[40:168, 170:298]])
    return Sharp(aligned, [image[:200, 100:300]], [image], [data.coffee(), data.chelsea()])


class TestPatches:
    @pytest.mark.parametrize("side", [128, 64])
    def test_every_kind_has_the_size(self, sharp, side):
        rng = np.random.default_rng(0)
        drawn = [draw_patch(sharp, Patches(side=side), rng) for _ in range(40)]
        assert {patch.shape for patch, _ in drawn} == {(side, side, 3)}
        assert {whole for _, whole in drawn} == {True, False}

    def test_a_whole_face_is_the_stored_one(self, sharp):
        patch, whole = draw_patch(sharp, Patches(whole=1.0), np.random.default_rng(0))
        stored = [*sharp.aligned, *sharp.aligned[:, :, ::-1]]
        assert whole
        assert any(np.array_equal(patch, image) for image in stored)

    @pytest.mark.parametrize("scale", [2, 4])
    def test_clean_is_bicubic(self, sharp, scale):
        camera = Camera(scale=scale, clean=1.0, photometric=0.0, nightly=0.0)
        small, large = small_and_sharp(sharp.aligned[0], camera, np.random.default_rng(0))
        assert small.shape == (128 // scale, 128 // scale, 3)
        np.testing.assert_array_equal(large, sharp.aligned[0])
        np.testing.assert_array_equal(small, bicubic(large, 128 // scale, 128 // scale))

    def test_degraded_pairs_are_repeatable(self, sharp):
        for seed in range(20):
            pairs = [
                small_and_sharp(sharp.aligned[0], Camera(clean=0), np.random.default_rng(seed))
                for _ in range(2)
            ]
            for a, b in zip(*pairs, strict=True):
                np.testing.assert_array_equal(a, b)

    def test_by_night_both_are_grey_and_only_one_is_grainy(self, sharp):
        """Grain: what stays of a flat wall when its mean is taken away."""
        wall = np.full((128, 128, 3), 128, np.uint8)
        camera = Camera(nightly=1.0)
        grains = []
        for seed in range(20):
            small, large = small_and_sharp(wall, camera, np.random.default_rng(seed))
            for picture in (small, large):
                assert (picture == picture[..., :1]).all()
            plain = cv2.resize(large, (32, 32), interpolation=cv2.INTER_AREA).astype(float)
            assert abs(small.mean() - plain.mean()) < 4
            assert np.abs(np.diff(large[..., 0].astype(int))).max() <= 8  # the light falls off
            grains.append((small - plain).std())
        assert max(grains) > 10
        assert min(grains) < 4

    def test_the_standard_chain_loses_detail_but_stays_in_place(self, sharp):
        small, large = standard_small(sharp.aligned[0], 4, np.random.default_rng(3))
        plain = cv2.resize(large, (32, 32), interpolation=cv2.INTER_AREA)
        assert 20 < metrics.psnr(small, plain) < 40


class TestLosses:
    def test_of_equal_pictures(self):
        a = torch.rand(1, 3, 8, 8)
        assert restoring.charbonnier(a, a).item() == pytest.approx(1e-3)
        assert restoring.gradient(a, a).item() == 0
        assert restoring.spectrum(a, a).item() == 0

    def test_of_a_constant_difference(self):
        a = torch.zeros(1, 1, 4, 4)
        assert restoring.charbonnier(a, a + 0.5).item() == pytest.approx(0.500001, abs=1e-6)
        assert restoring.gradient(a, a + 0.5).item() == 0
        # One coefficient of 12 holds all: 0.5 * sqrt(16) = 2.
        assert restoring.spectrum(a, a + 0.5).item() == pytest.approx(2 / 12)

    def test_gradient_by_hand(self):
        a = torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]])
        assert restoring.gradient(a, torch.zeros_like(a)).item() == pytest.approx(0.5 + 0.5)

    def test_identity_rewards_the_true_person(self):
        class Sums(torch.nn.Module):
            def forward(self, x, training):
                return torch.nn.functional.normalize(x.sum(dim=(2, 3)), dim=1)

        red, green = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
        red[:, 0], green[:, 1] = 1, 1
        assert [v.item() for v in restoring.identity(Sums(), red, red, green, 0.1)] == [0, 0]
        apart, behind = restoring.identity(Sums(), green, red, red, 0.1)
        assert (apart.item(), behind.item()) == pytest.approx((1, 1.1))


class TestNetworks:
    def test_the_enhancer_begins_near_nearest_neighbour(self):
        torch.manual_seed(0)
        picture = torch.rand(1, 3, 8, 12)
        with torch.no_grad():
            enlarged = TINY.build()(picture)
        assert enlarged.shape == (1, 3, 32, 48)
        squares = picture.repeat_interleave(4, 2).repeat_interleave(4, 3)
        assert (enlarged - squares).abs().mean() < 0.15

    def test_export_equals_the_enhancer(self, tmp_path, sharp):
        recipe = enhancer.Recipe(net=TINY, batch=2, schedule=Schedule(steps=1, workers=0))
        fit(
            TINY.build(),
            enhancer.batch_maker(sharp, recipe),
            enhancer.step_loss(recipe, None),
            recipe.schedule,
            tmp_path,
        )
        card = enhancer.enhancer_card(4, TINY.multiple_of)
        assert enhancer.export_enhancer(tmp_path, card, TINY)

    def test_parity_fails_for_another_network(self):
        free = {0: "batch", 2: "height", 3: "width"}
        model = TINY.build()
        card = enhancer.enhancer_card(4, TINY.multiple_of)
        made = export(
            model,
            torch.rand(1, 3, 8, 8),
            card=card,
            inputs=["picture"],
            outputs=["enlarged"],
            dynamic={"picture": free, "enlarged": free},
        )
        with torch.no_grad():
            next(iter(model.parameters())).add_(0.5)
        with pytest.raises(ModelError, match="differs"):
            check_parity(model, made, [[np.ones((1, 3, 8, 8), np.float32)]], 1e-3)

    def test_the_colourisers_classes(self):
        colours = palette()
        assert [0.0, 0.0] in colours.tolist()
        assert len(colours) == len({tuple(c) for c in colours.tolist()})
        assert 100 < len(colours) < 400

    def test_the_shown_chroma_by_hand(self):
        logits = torch.full((1, len(palette()), 1, 1), -60.0)
        logits[0, 5], logits[0, 9] = 1.0, 1.0
        one, other = palette()[5] / CHROMA_UNIT, palette()[9] / CHROMA_UNIT
        mean = (one + other) / 2
        spread = np.linalg.norm(one - other) / 2  # of two points, around their middle
        certainty = np.linalg.norm(mean) / (np.linalg.norm(mean) + spread)
        assert 0.3 < certainty < 1
        full = shown_chroma(logits, 0.4, certain=0.3)[0, :, 0, 0]
        np.testing.assert_allclose(full, mean, atol=1e-5)
        paler = shown_chroma(logits, 0.4, certain=1.0)[0, :, 0, 0]
        np.testing.assert_allclose(paler, mean * certainty, atol=1e-5)
        logits[0, 5] = 2.0
        sharper = shown_chroma(logits, 0.05, certain=0.9)[0, :, 0, 0]
        np.testing.assert_allclose(sharper, one, atol=1e-4)

    def test_no_colour_where_the_colours_cancel_out(self):
        opposite = [np.flatnonzero((palette() == c).all(axis=1))[0] for c in ((24, 0), (-24, 0))]
        logits = torch.full((1, len(palette()), 1, 1), -60.0, requires_grad=True)
        with torch.no_grad():
            logits[0, opposite] = 1.0
        shown = shown_chroma(logits, 0.5, 0.65)
        np.testing.assert_allclose(shown.detach(), 0, atol=1e-6)
        shown.sum().backward()
        assert torch.isfinite(logits.grad).all()

    def test_export_equals_the_colouriser(self, tmp_path, sharp):
        recipe = colouriser.Recipe(net=TINY_COLOUR, batch=2, schedule=Schedule(steps=1, workers=0))
        make = colouriser.batch_maker(sharp, recipe)
        weights = colouriser.class_weights(make, recipe.uniform, batches=2)
        assert weights.shape == (len(palette()),)
        step = colouriser.step_loss(recipe, colouriser.ClassLoss(weights, recipe.blur))
        fit(TINY_COLOUR.build(), make, step, recipe.schedule, tmp_path)
        card = colouriser.colouriser_card(TINY_COLOUR)
        assert colouriser.export_colouriser(tmp_path, card, TINY_COLOUR)

    def test_embeddings_have_unit_length(self):
        net = EmbedderNet(stem=8, widths=(8, 8, 8), blocks=(1, 1, 1), squeeze=8)
        with torch.no_grad():
            rows = net.build()(torch.rand(3, 3, 112, 112), training=False)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)

    def test_a_start_takes_what_fits(self, tmp_path, sharp):
        recipe = enhancer.Recipe(net=TINY, batch=2, schedule=Schedule(steps=1, workers=0))
        make, step = enhancer.batch_maker(sharp, recipe), enhancer.step_loss(recipe, None)
        average = fit(TINY.build(), make, step, recipe.schedule, tmp_path)
        double = EnhancerNet(scale=2, widths=TINY.widths, blocks=TINY.blocks).build()
        enhancer.start_from(double, tmp_path)
        taken = [n for n, v in double.state_dict().items() if v.shape == average.state[n].shape]
        assert len(taken) == len(double.state_dict()) - 2  # The tail's weight and bias differ.
        assert all(torch.equal(double.state_dict()[n], average.state[n]) for n in taken)


def test_training_lowers_the_loss_of_the_enhancer(tmp_path, sharp):
    torch.manual_seed(0)
    schedule = Schedule(steps=25, workers=0, warm_up=2, average=0.5, weight_decay=0, clip=1.0)
    recipe = enhancer.Recipe(net=TINY, batch=2, schedule=schedule)
    fixed = enhancer.batch_maker(sharp, recipe)(0)
    model, step = TINY.build(), enhancer.step_loss(recipe, None)
    before = step(model, fixed)[0].item()
    fit(model, lambda number: fixed, step, schedule, tmp_path)
    assert step(model, fixed)[0].item() < 0.9 * before


class TestScores:
    @pytest.fixture
    def face(self):
        image = data.astronaut()[20:148, 160:288]
        points = [[41, 87], [82, 87], [62, 113], [47, 132], [77, 132]]
        return SharpFace(image, np.array(points, np.float32) * 0.9)

    def test_bicubic_gains_nothing_over_itself(self, face):
        score = score_restoration(lambda p: bicubic(p, 128, 128), 4, [face], "clean")
        assert score.psnr == score.psnr_bicubic
        assert score.ssim == score.ssim_bicubic
        assert math.isnan(score.similarity)

    def test_the_truth_is_better_in_everything(self, face):
        def embed(faces):
            flat = np.stack([f.astype(np.float32).ravel() - 128 for f in faces])
            return flat / np.linalg.norm(flat, axis=1, keepdims=True)

        nearly = np.clip(face.image.astype(int) + 1, 0, 255).astype(np.uint8)
        score = score_restoration(lambda p: nearly, 4, [face], "cctv", embed)
        assert score.psnr > score.psnr_bicubic + 10
        assert score.similarity > score.similarity_bicubic
        assert score.lowered == 0

    def test_luma_of_black_and_white(self):
        assert luma(np.zeros((1, 1, 3), np.uint8)).item() == 16
        assert luma(np.full((1, 1, 3), 255, np.uint8)).item() == pytest.approx(235, abs=0.01)

    def test_colour_of_grey_and_of_the_truth(self):
        image = data.coffee()[::4, ::4]
        grey = score_colour(lambda p: p, [image], "x")
        assert grey.gain == pytest.approx(0, abs=1e-3)
        assert grey.colourfulness == pytest.approx(0, abs=1e-6)
        truth = score_colour(lambda p: image, [image], "x")
        assert (truth.error, truth.gain, truth.colourfulness) == (0, 1, 1)
