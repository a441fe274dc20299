"""Painters: fitted, written to a file, and what they render."""

import numpy as np
import pytest

import made_faces
from extras import need

need("tensorflow", extra="training")

from keras import layers

from fimq_training.arrays import read_arrays, write_arrays
from fimq_training.export.painter_file import write_painter
from fimq_training.fitting import painter_fit
from fimq_training.fitting.painter_fit import PainterFit
from fimq_training.fitting.painter_task import SIDE, PainterTask
from fimq_training.manipulations.clips import ClipMaker
from fimq_training.manipulations.forgeries import Face
from fimq_training.manipulations.painting import Canvas, Painter, coarse, drawn, hidden
from fimq_training.manipulations.pairs import Drawing, PairMaker
from fimq_training.manipulations.rendering import render
from fimq_training.networks.names import by_name
from fimq_training.networks.painter import UPSAMPLINGS, larger, painter


@pytest.fixture(scope="module")
def samples():
    return made_faces.sample_set()


@pytest.fixture(scope="module")
def task(samples, weights):
    return PainterTask(samples, weights, "nearest", steps=2, batch=3, seed=5)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, samples, weights):
    """A fit of a few steps: its curve, and the folder."""
    folder = tmp_path_factory.mktemp("painter")
    samples.save(folder / "samples.npz")
    write_arrays(folder / "start.npz", weights)
    fit = PainterFit(
        folder=folder / "fit",
        start=folder / "start.npz",
        samples=folder / "samples.npz",
        number=0,
        epochs=2,
        seed=3,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painter_fit, "STEPS", 6)
        ended = [progress.finished for progress in fit.run() if progress.finished]
    write_painter(read_arrays(fit.folder / "weights.npz"), fit.upsampling, folder / "0.onnx")
    return folder, [epoch.loss for epoch in ended], fit


@pytest.fixture(scope="module")
def file(fitted):
    return fitted[0] / "0.onnx"


@pytest.fixture(scope="module")
def canvas(samples):
    sample = samples[0]
    picture = np.ascontiguousarray(sample.pixels[56:184, 56:184])
    mask = np.zeros((128, 128), np.float32)
    mask[40:90, 30:100] = 1
    shown, region = hidden(picture, mask)
    return Canvas(shown, region, drawn(sample.points - 56, 128))


def test_a_fit_learns(fitted):
    _, losses, _ = fitted
    assert len(losses) == 2
    assert losses[1] < losses[0]


def test_the_file_paints_as_the_fitted_network(fitted, file, canvas):
    _, _, fit = fitted
    network, stored = painter(fit.upsampling), read_arrays(fit.folder / "weights.npz")
    for name, variable in by_name(network.weights).items():
        variable.assign(stored[name])
    expected = np.asarray(network(canvas.channels()[None].astype(np.float32)))[0]
    painted = Painter(file).paint(canvas)
    assert painted.dtype == np.uint8
    assert np.abs(painted - np.clip(expected, 0, 255)).max() <= 1


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_every_painter_has_a_file_that_paints_as_it_does(upsampling, tmp_path, canvas):
    network = painter(upsampling)
    weights = {name: value.numpy() for name, value in by_name(network.weights).items()}
    write_painter(weights, upsampling, tmp_path / "0.onnx")
    painted = Painter(tmp_path / "0.onnx").paint(canvas)
    expected = np.asarray(network(canvas.channels()[None].astype(np.float32)))[0]
    assert np.abs(painted - np.clip(expected, 0, 255)).max() <= 1


def test_bilinear_is_what_the_field_calls_so():
    fine = np.random.default_rng(1).normal(size=(2, 6, 8, 3)).astype(np.float32)
    theirs = layers.UpSampling2D(2, interpolation="bilinear")(fine)
    assert np.allclose(larger(fine, 3, "bilinear", "x"), theirs, atol=1e-5)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_outside_its_region_a_painter_leaves_the_picture_alone(upsampling, canvas):
    picture = np.asarray(painter(upsampling)(canvas.channels()[None].astype(np.float32)))[0]
    outside = canvas.region == 0
    assert np.abs(picture[outside] - canvas.picture[outside]).max() < 0.01
    assert np.abs(picture[~outside] - canvas.picture[~outside]).max() > 0.01


def test_a_painter_paints_at_every_side_that_is_a_multiple_of_sixteen(file):
    painted = Painter(file)
    for side in (64, 96, 224):
        grey = np.full((side, side), 99, np.uint8)
        shown = Canvas(np.dstack([grey] * 3), np.zeros_like(grey), grey)
        assert (painted.paint(shown) == 99).all()


class TestWindow:
    """What a painter is fitted on."""

    def test_only_the_region_is_taken_away(self, task):
        for seed in range(20):
            canvas, window = task.window(np.random.default_rng(seed))
            outside = canvas.region == 0
            assert window.shape == canvas.picture.shape == (SIDE, SIDE, 3)
            assert canvas.region.any()
            assert np.array_equal(canvas.picture[outside], window[outside])
            assert not np.array_equal(canvas.picture, window)

    def test_a_seed_decides_all_of_it(self, task):
        first, second = (task.window(np.random.default_rng(4)) for _ in range(2))
        assert np.array_equal(first[0].channels(), second[0].channels())
        assert np.array_equal(first[1], second[1])

    def test_batches_are_the_same_from_wherever_an_epoch_goes_on(self, task):
        whole, rest = list(task.batches(2, 0)), list(task.batches(2, 1))
        assert len(whole) == 2
        for part, same in zip(whole[1], rest[0], strict=True):
            assert np.array_equal(part, same)


def test_a_region_is_hidden_or_coarse_and_nothing_else_changes(samples):
    picture = samples[0].pixels
    mask = np.zeros(picture.shape[:2], np.float32)
    mask[50:120, 60:150] = 0.5
    for shown, region in (
        hidden(picture, mask),
        coarse(picture, picture, mask, 104, np.random.default_rng(1)),
    ):
        assert np.array_equal(region > 0, mask > 0)
        assert np.array_equal(shown[region == 0], picture[region == 0])
        assert np.abs(shown.astype(int) - picture)[region > 0].mean() > 2


@pytest.fixture(scope="module")
def made(samples, file):
    face = Face(samples[0].pixels.copy(), samples[0].points, made_faces.WIDTH)
    other = Face(samples[7].pixels, samples[7].points, made_faces.WIDTH)
    drawer = Painter(file)
    forged = [render(face, other, drawer, np.random.default_rng(seed)) for seed in range(16)]
    again = render(face, other, drawer, np.random.default_rng(3))
    assert np.array_equal(face.pixels, samples[0].pixels)
    return forged, again


class TestRendering:
    """A rendered face keeps what every forgery promises."""

    def test_only_pixels_inside_the_mask_change(self, made):
        for forgery in made[0]:
            outside = forgery.mask == 0
            assert outside.any()
            assert np.array_equal(forgery.fake[outside], forgery.real[outside])

    def test_most_change_what_one_can_see(self, made):
        assert np.median([forgery.change for forgery in made[0]]) > 2

    def test_a_seed_decides_all_of_it(self, made):
        forged, again = made
        assert again.name == forged[3].name
        assert np.array_equal(again.fake, forged[3].fake)

    def test_mouths_and_faces_are_rendered(self, made):
        names = {forgery.name for forgery in made[0]}
        assert all(name.startswith("render_") for name in names)
        assert names & {"render_mouth", "render_lower"}
        assert names & {"render_face", "render_inner", "render_oval", "render_eyes"}


def test_a_share_of_pairs_is_rendered_where_there_are_painters(samples, file):
    drawing = Drawing(painters=(file,), rendered=0.5)
    maker = PairMaker(samples, 2, drawing)
    names = [maker.pair().name for _ in range(24)]
    rendered = sum(name.startswith("render_") for name in names)
    assert 4 <= rendered <= 20
    plain = PairMaker(samples, 2, Drawing(rendered=0.5))
    assert not any(plain.pair().name.startswith("render_") for _ in range(8))


def test_clips_are_rendered_beside_the_other_kinds(samples, file):
    maker = ClipMaker(samples, 3, painters=[file])
    kinds = {pair.fake.name.partition("_")[0] for pair in maker.pairs(8)}
    assert kinds == {"self", "swap", "reenact", "render"}
