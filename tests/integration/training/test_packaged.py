from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from extras import need

need("tensorflow", extra="training")

import fimq.models
from fimq.errors import PackageUnfit, UsageError
from fimq.models.package import ModelPackage
from fimq_training.arrays import read_arrays
from fimq_training.commands.weights import weights as weights_command
from fimq_training.export.onnx import Network, to_onnx
from fimq_training.networks import folded, folded_model, packaged
from fimq_training.networks.folded_model import FoldedB0
from fimq_training.recipes.recipe import Recipe, find
from fimq_training.workshop import Inputs, Workshop
from tinymodel import write_package

DEFAULT = Path(fimq.models.__file__).parent / "default"


def drawn_weights():
    """A network whose every number is its own, so that no two can be taken for each other."""
    rng = np.random.default_rng(5)
    drawn = {name: rng.normal(0, 0.05, shape) for name, shape in folded.shapes().items()}
    drawn |= {**folded.head(9), "head_b": np.full(1, 0.25)}
    return {name: value.astype(np.float32) for name, value in drawn.items()}


@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_every_number_of_a_network_comes_back_under_its_own_name(tmp_path, precision):
    weights = drawn_weights()
    network = Network(weights, 32, precision)
    to_onnx(network, tmp_path / "model.onnx", precision)
    crops = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3), np.uint8)
    scores = network.score(crops).astype(np.float32)
    content = (tmp_path / "model.onnx").read_bytes()
    package = ModelPackage.open(
        write_package(tmp_path / "package", content=content, crops=crops, scores=scores)
    )
    assert packaged.convert(package, tmp_path / "start.npz") < 1e-5
    read = read_arrays(tmp_path / "start.npz")
    assert list(read) == [name for name in weights if not name.startswith("mask_")]
    for name, value in read.items():
        np.testing.assert_array_equal(value, network.parameters[name], err_msg=name)


def test_a_fit_can_start_from_the_model_in_the_wheel(tmp_path):
    out = tmp_path / "start.npz"
    said = CliRunner().invoke(weights_command, [str(DEFAULT), str(out)])
    assert said.exit_code == 0, said.output
    assert "scores equal the package's within" in said.output
    assert "fimq train fit fimq-supervised" in said.output
    package = packaged.weights_of(ModelPackage.open(DEFAULT))
    model = FoldedB0(folded_model.read(out), seed=3, methods=4)
    fitted = {variable.name: np.asarray(variable.value) for variable in model.variables}
    np.testing.assert_array_equal(fitted["head_w"], package["head_w"])
    assert fitted["method_w"].shape == (folded.TOP, 4)


def test_batch_norms_are_not_set_for_a_package(tmp_path):
    words = [str(DEFAULT), str(tmp_path / "start.npz"), "--crops", str(tmp_path)]
    with pytest.raises(UsageError, match="a package has none"):
        CliRunner().invoke(weights_command, words, catch_exceptions=False)


def test_another_network_is_refused(tmp_path):
    package = ModelPackage.open(write_package(tmp_path / "tiny"))
    with pytest.raises(PackageUnfit, match="tiny-binary@1 is not the network"):
        packaged.convert(package, tmp_path / "start.npz")
    assert not (tmp_path / "start.npz").exists()


def test_weights_that_score_otherwise_than_the_package_are_refused(tmp_path, monkeypatch):
    package = ModelPackage.open(DEFAULT)
    right = packaged.weights_of(package)
    bent = {**right, "head_b": right["head_b"] + 0.1}
    monkeypatch.setattr(packaged, "weights_of", lambda _: bent)
    with pytest.raises(PackageUnfit, match="scores differ by"):
        packaged.convert(package, tmp_path / "start.npz")
    assert not (tmp_path / "start.npz").exists()


def test_a_run_from_a_package_begins_its_trunk_there_and_nowhere_else(tmp_path, monkeypatch):
    from fimq_training import workshop as room

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.csv").write_text("folder,file,identity_id\n")
    inputs = Inputs(tmp_path / "data", tmp_path, tmp_path / "carrier.tgz", package=DEFAULT)
    recipe = Recipe.read(find("fimq-painted"))
    run = Workshop(tmp_path / "run", inputs, recipe)
    run.agree()
    (run.out / "start.npz").touch()
    (stage,) = run.convert_start()
    assert ModelPackage.open(DEFAULT).manifest.label in stage.text
    assert list(run.convert_start()) == []
    runs = []
    monkeypatch.setattr(room, "side_by_side", lambda fits, **_: runs.append(fits) or ())
    list(run.fit())
    (trunk,), branches = runs
    assert trunk.start == run.out / "ancestor.npz"
    assert {fit.start for fit in branches} == {trunk.folder / "weights.npz"}
