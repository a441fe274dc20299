"""`fimq-supervised`: matched crops of a data set and of our own, from split to package."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from extras import need

need("tensorflow", extra="training")
need("tf2onnx", extra="training")

import tensorflow as tf

from crop_folder import crop
from fimq.errors import OriginalsMissing, RecipeInvalid, StartWeightsInvalid
from fimq_training.arrays import read_arrays, write_arrays
from fimq_training.commands.train import train
from fimq_training.crops.table import CropTable
from fimq_training.evaluation import models
from fimq_training.export.onnx import onnx_scorer, to_onnx
from fimq_training.export.run_network import of_run
from fimq_training.fitting.alterations import Alterations
from fimq_training.fitting.matched_inputs import MatchedInputs, Matches
from fimq_training.fitting.matched_task import METHOD, MatchedTask
from fimq_training.fitting.run import Run
from fimq_training.networks import folded
from fimq_training.recipes.recipe import HOUSE
from fimq_training.splits.split import Side, Split

SIZE = 32
METHODS = {"Deepfakes": (200, 40, 40), "FaceSwap": (40, 200, 40), "Swap": (40, 40, 200)}


def made(folder, dataset, methods, people):
    """One original a person and one fake a method, each with a square of the method's colour."""
    rng, rows = np.random.default_rng(5), []
    (folder / "faces").mkdir(parents=True)
    for person in people:
        base = rng.integers(60, 120, (SIZE, SIZE, 3)).astype(np.uint8)
        for method in (None, *methods):
            name = f"{person}_{method or 'real'}"
            row = replace(
                crop(name, manipulated=method is not None, collection=method or "Youtube"),
                dataset=dataset,
                identities=(person,),
                target=None if method is None else person,
                size=SIZE,
            )
            picture = base.copy()
            if method is not None:
                picture[8:24, 8:24] = METHODS[method]
            cv2.imwrite(str(folder / row.file), picture[:, :, ::-1])
            rows.append(row)
    CropTable(rows).write(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    out = tmp_path_factory.mktemp("crops")
    people = [f"p{number:02d}" for number in range(12)]
    others = [f"q{number:02d}" for number in range(12)]
    pair = (
        made(out / "ffpp", "ffpp", ("Deepfakes", "FaceSwap"), people),
        made(out / "forged", "forged", ("Swap",), others),
    )
    table = CropTable.read(*pair)
    # A third of the people for validation, a third for the test.
    sides = {c.key: list(Side)[int(c.identities[0][1:]) % 3] for c in table.crops}
    Split("official", sides).write(pair[0] / "splits" / "official.parquet")
    return pair


@pytest.fixture(scope="module")
def start(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "start.npz"
    write_arrays(path, weights)
    return path


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    text = (HOUSE / "fimq-supervised.toml").read_text()
    for old, new in (
        ("size = 128", f"size = {SIZE}"),
        ("steps = 500", "steps = 2"),
        ("epochs = 12", "epochs = 2"),
        ("batch = 64", "batch = 10"),
        ("rate = 0.0003", "rate = 0.002"),
        ("ema = 0.995", "ema = 0.5"),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(text)
    return path


def call(*arguments):
    result = CliRunner().invoke(train, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def run(folders, start, recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    call("fit", recipe, *folders, "--init", start, "--out", out)
    return out


def batches(inputs, steps, **kwargs):
    drawn = inputs.drawn(*kwargs.pop("args"), epoch=1, steps=steps, **kwargs)
    return [[np.asarray(part) for part in batch] for batch in drawn]


class TestBatches:
    def matches(self, folders):
        table = CropTable.read(*folders)
        return Matches.of(table)

    def test_each_fake_is_beside_its_own_original_under_one_alteration(self, folders):
        matches = self.matches(folders)
        inputs = MatchedInputs(matches, matches.methods, size=SIZE, pairs=5, seed=1)
        shares = matches.shares(0.4)
        alterations = Alterations(flip=True, zoom=0.1)
        for images, labels, methods in batches(inputs, 4, args=(shares, alterations), first=0):
            assert labels.tolist() == [0] * 5 + [1] * 5
            assert methods[:5].tolist() == methods[5:].tolist()
            reals, fakes = images[:5].astype(int), images[5:].astype(int)
            # Outside of the square, altered as it may be, the two are the same picture.
            assert np.abs(reals[:, :4] - fakes[:, :4]).max() == 0
            for fake, method in zip(fakes, methods[5:], strict=True):
                assert np.abs(fake[16, 16] - METHODS[matches.methods[method]]).max() <= 1

    def test_our_own_have_their_share_and_methods_theirs(self, folders):
        matches = self.matches(folders)
        assert matches.methods == ("Deepfakes", "FaceSwap", "Swap")
        assert matches.shares(0.4) == pytest.approx([0.3, 0.3, 0.4])
        inputs = MatchedInputs(matches, matches.methods, size=SIZE, pairs=10, seed=1)
        drawn = batches(inputs, 4, args=(matches.shares(0.4), Alterations()), first=0)
        counts = np.bincount(np.concatenate([methods[:10] for _, _, methods in drawn]))
        assert counts.tolist() == pytest.approx([12, 12, 16], abs=1)

    def test_a_fit_that_goes_on_sees_what_it_would_have_seen(self, folders):
        matches = self.matches(folders)
        args = (matches.shares(0.4), Alterations(flip=True, zoom=0.1))
        inputs = MatchedInputs(matches, matches.methods, size=SIZE, pairs=5, seed=1)
        whole = batches(inputs, 6, args=args, first=0)
        rest = batches(inputs, 6, args=args, first=4)
        assert len(rest) == 2
        for one, other in zip(whole[4:], rest, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_method_is_asked_of_fakes_alone_and_smoothing_is_of_the_fit(folders):
    logits = tf.constant([-2.0, 3.0, 1.0])
    named = tf.constant([[0.0, 0.0], [2.0, 0.0], [2.0, 0.0]])

    def model(images, training):
        return folded.Output(None, logits, None, named)

    batch = (tf.zeros([3, 8, 8, 3], tf.uint8), tf.constant([0.0, 1.0, 1.0]), tf.constant([1, 0, 1]))
    task = MatchedTask(
        lambda: model, None, None, steps=1, shares=(), alterations=Alterations(), smoothing=0.1
    )
    each, right = task.lost(model, batch, training=False)
    label = np.log1p(np.exp([-2.0, -3.0, -1.0]))
    method = METHOD * np.array([0, np.log1p(np.exp(-2)), np.log1p(np.exp(2))])
    assert np.allclose(each, label + method, atol=1e-6)
    assert np.asarray(right).tolist() == [1, 1, 1]
    smoothed, _ = task.lost(model, batch, training=True)
    assert np.allclose(smoothed - each, 0.05 * np.array([2, 3, 1]), atol=1e-6)


class TestRun:
    def test_its_classes_are_real_and_each_method(self, run):
        assert Run.read(run).classes == ("real", "Deepfakes", "FaceSwap", "Swap")
        assert Run.read(run).manipulated["real"] is False
        assert "method_w" in {name.rsplit("/")[-1] for name in read_arrays(run / "best.npz")}

    def test_it_is_measured_by_method(self, run, folders):
        call("evaluate", run, *folders)
        report = json.loads((run / "evaluation" / "report.json").read_text())
        videos = next(part for part in report["measures"] if part["kind"] == "videos")
        assert {part["name"] for part in videos["parts"]["method"]} == set(METHODS)

    def test_the_file_gives_what_the_run_gives(self, run, tmp_path):
        to_onnx(of_run(Run.read(run), run, "f16"), tmp_path / "model.onnx")
        crops = np.random.default_rng(0).integers(0, 255, (3, SIZE, SIZE, 3)).astype(np.uint8)
        served, fitted = onnx_scorer(tmp_path / "model.onnx")(crops), models.load(run).scorer(crops)
        assert served.shape == (3, 4)
        assert np.allclose(served.sum(1), 1, atol=1e-6)
        assert np.abs(served - fitted).max() < 2e-3


class TestRefusals:
    def test_fakes_without_originals(self, folders, recipe, start, tmp_path):
        table = CropTable.read(folders[0])
        rows = [replace(c, target="gone") if c.manipulated else c for c in table.crops]
        CropTable(rows).write(tmp_path / "crops")
        (tmp_path / "crops" / "faces").symlink_to(folders[0] / "faces")
        sides = {c.key: Side.TRAIN for c in rows}
        Split("official", sides).write(tmp_path / "crops" / "splits" / "official.parquet")
        with pytest.raises(OriginalsMissing, match="Of 24 fake crops none"):
            call("fit", recipe, tmp_path / "crops", "--init", start, "--out", tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_starting_from_nothing(self, folders, recipe, tmp_path):
        with pytest.raises(StartWeightsInvalid, match="cannot start from nothing"):
            call("fit", recipe, *folders, "--init", "none", "--out", tmp_path / "run")

    def test_classes_of_ones_own(self, folders, recipe, start, tmp_path):
        common = ("--init", start, "--out", tmp_path / "run")
        with pytest.raises(RecipeInvalid, match="real and each method"):
            call("fit", recipe, *folders, "--classes", "all", *common)
