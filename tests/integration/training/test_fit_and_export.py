from pathlib import Path

import numpy as np
import pytest

from extras import need

need("tensorflow", extra="training")
need("tf2onnx", extra="training")
need("onnxruntime", extra="training")

from fimq.errors import PairsMissing
from fimq_training.arrays import read_arrays
from fimq_training.export.onnx import Network, onnx_scorer, to_onnx
from fimq_training.fitting.fit import Fit
from fimq_training.fitting.pair_fit import PairFit
from fimq_training.fitting.pair_inputs import Mixture, Pool
from fimq_training.fitting.pair_task import PairTask, averaged
from fimq_training.fitting.plan import Plan
from fimq_training.fitting.side_by_side import side_by_side
from fimq_training.networks.folded_model import FoldedB0, parameters

OURS = (Path.cwd(), Path.home())
PLAN = Plan(epochs=2, batch=4, optimizer="adamw", rate=1e-3, clip=1.0, ema=0.5)


@pytest.fixture(scope="module")
def pool_folder(tmp_path_factory):
    """Pairs whose fakes are darker."""
    folder = tmp_path_factory.mktemp("pairs")
    real = np.random.default_rng(1).integers(0, 256, (4, 128, 128, 3)).astype(np.uint8)
    mask = np.full((4, 16, 16), 255, np.uint8)
    np.savez(folder / "000000.npz", real=real, fake=real // 2, mask=mask)
    return folder


@pytest.fixture(scope="module")
def pool(pool_folder):
    return Pool(pool_folder)


@pytest.fixture(scope="module")
def fit_in(weights, pool):
    """A fit of two steps in a folder."""

    def made(folder):
        mixture = Mixture([(pool, 1.0)], pairs=2, seed=1)
        task = PairTask(lambda: FoldedB0(weights, 1), mixture, steps=1, smoothing=0.05)
        return Fit(folder, task, PLAN, seed=1)

    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fit")


@pytest.fixture(scope="module")
def fitted(folder, fit_in):
    """The weights of a fit of two steps."""
    fit = fit_in(folder)
    assert [p.epoch for p in fit.run() if p.finished] == [1, 2]
    return parameters(fit.weights())


@pytest.fixture(scope="module")
def exported(fitted, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    to_onnx(Network(fitted), path)
    return path


def test_a_fit_changes_every_weight(fitted, weights):
    assert all(np.isfinite(value).all() for value in fitted.values())
    changed = [name for name in weights if not np.array_equal(fitted[name], weights[name])]
    assert len(changed) == len(weights)


def test_a_fit_goes_on_from_its_checkpoint(fitted, folder, fit_in):
    again = fit_in(folder)
    mine = parameters(again.weights())
    assert all(np.array_equal(mine[name], fitted[name]) for name in fitted)
    assert list(again.run()) == []


def test_fits_side_by_side_are_what_each_is_alone(weights, pool_folder, tmp_path):
    start = tmp_path / "start.npz"
    np.savez(start, **weights)

    def fit(name, seed):
        return PairFit(
            folder=tmp_path / name,
            start=start,
            pools=((pool_folder, 1.0),),
            plan=PLAN,
            seed=seed,
            steps=1,
            size=128,
        )

    told = list(side_by_side([fit("one", 1), fit("other", 2)]))
    assert sorted((n, p.epoch) for n, p in told if p.finished) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert [p.epoch for _, p in side_by_side([fit("alone", 2)]) if p.finished] == [1, 2]
    one, other, alone = (
        read_arrays(tmp_path / name / "weights.npz") for name in ("one", "other", "alone")
    )
    assert all(np.allclose(other[name], alone[name], atol=1e-5) for name in alone)
    assert any(not np.allclose(one[name], alone[name], atol=1e-5) for name in alone)


def test_what_one_of_several_fits_raises_ends_them(weights, tmp_path):
    start = tmp_path / "start.npz"
    np.savez(start, **weights)
    fits = [
        PairFit(tmp_path / name, start, ((tmp_path / "none", 1.0),), PLAN, 1, 1, 128)
        for name in ("one", "other")
    ]
    with pytest.raises(PairsMissing, match="none"):
        list(side_by_side(fits))


def test_the_average_of_branches_lies_between_them(fitted, weights):
    between = averaged([weights, {name: fitted[name] for name in weights}])
    half = (weights["top_w"] + fitted["top_w"]) / 2
    assert np.allclose(between["top_w"], half)


class TestExportedFile:
    def test_it_scores_as_the_framework_does(self, exported, fitted, crops):
        there, here = onnx_scorer(exported)(crops), Network(fitted).score(crops)
        assert np.abs(there - here).max() < 1e-4

    def test_it_takes_any_number_of_crops(self, exported, crops):
        score = onnx_scorer(exported)
        assert np.allclose(score(crops[:1]), score(crops)[:1], atol=1e-6)

    def test_it_says_what_the_manifest_says(self, exported):
        onnx = pytest.importorskip("onnx")
        graph = onnx.load(str(exported)).graph
        (given,), (result,) = graph.input, graph.output
        shape = [dim.dim_value for dim in given.type.tensor_type.shape.dim]
        assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        assert shape == [0, 128, 128, 3]
        assert result.name == "probabilities"

    def test_it_says_nothing_of_the_machine_that_made_it(self, exported):
        content = exported.read_bytes()
        for trace in (b"/tmp", b"/home", *map(str.encode, map(str, OURS)), b"site-packages"):
            assert trace not in content

    def test_it_is_stored_in_half(self, exported):
        assert exported.stat().st_size < 8.5e6
