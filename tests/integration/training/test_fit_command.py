"""`fimq train fit`, from crops on disk to weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from extras import need

need("tensorflow", extra="training")

from crop_folder import SIZE
from fimq.errors import (
    ClassEmpty,
    RunDiffers,
    SplitMissing,
    SplitSharesIdentity,
    StartWeightsInvalid,
    StartWeightsMissing,
)
from fimq_training.commands.train import train
from fimq_training.crops.table import CropTable
from fimq_training.fitting.run import Run, put
from fimq_training.networks.paper import NETWORKS
from fimq_training.recipes.recipe import HOUSE
from fimq_training.splits.split import Side, Split

pytestmark = pytest.mark.usefixtures("split")


@pytest.fixture
def recipe(tmp_path):
    """The paper's small network for pictures of 16 pixels."""
    text = (HOUSE / "paper-baseline-binary.toml").read_text()
    path = tmp_path / "small.toml"
    path.write_text(text.replace("size = 128", f"size = {SIZE}"))
    return str(path)


@pytest.fixture
def folder(table):
    return str(table.folders["made"])


@pytest.fixture
def split(table):
    """A third of the crops for validation."""
    sides = {
        key: Side.VALIDATION if number % 3 == 0 else Side.TRAIN
        for number, key in enumerate(table.keys)
    }
    Split("paper", sides).write(table.folders["made"] / "splits" / "paper.parquet")


def call(*arguments):
    return CliRunner().invoke(train, ["fit", *map(str, arguments)], catch_exceptions=False)


def test_it_leaves_a_run_that_can_be_read(recipe, folder, tmp_path):
    out = tmp_path / "run"
    result = call(recipe, folder, "--out", out, "--epochs", 2, "--init", "none")
    assert result.exit_code == 0, result.output
    assert "epoch 2/2" in result.stderr
    assert f"Next: fimq train calibrate {out}" in result.stderr
    run = Run.read(out)
    assert run.classes == ("fake", "real")
    assert run.manipulated == {"fake": True, "real": False}
    assert run.recipe.fit.epochs == 2
    model = NETWORKS["baseline"](2, SIZE)
    put(model, run.weights(out))
    assert json.loads((out / "run.json").read_text())["made_by"]["keras"]


@pytest.mark.parametrize(("seed", "status"), [(-1, 2), (2**32 - 1, 0), (2**32, 2)])
def test_a_seed_is_any_that_every_generator_takes(recipe, folder, tmp_path, seed, status):
    out = tmp_path / "run"
    result = call(recipe, folder, "--out", out, "--epochs", 1, "--init", "none", "--seed", seed)
    assert result.exit_code == status, result.output
    assert out.exists() == (status == 0)


def test_wrong_start_weights_leave_the_folder_free(folder, tmp_path):
    text = (HOUSE / "paper-efficientnetb0-binary.toml").read_text()
    (tmp_path / "b0.toml").write_text(text.replace("size = 128", "size = 32"))
    out = tmp_path / "run"
    (tmp_path / "labels.csv").write_text("file,label\n")
    with pytest.raises(StartWeightsInvalid):
        call(tmp_path / "b0.toml", folder, "--out", out, "--init", tmp_path / "labels.csv")
    assert not (out / "run.json").exists()


def test_collections_can_be_told_apart_instead(recipe, folder, tmp_path):
    out = tmp_path / "run"
    call(recipe, folder, "--out", out, "--epochs", 1, "--init", "none", "--classes", "all")
    assert Run.read(out).manipulated == {"Deepfakes": True, "Youtube": False}


def test_the_same_command_does_nothing_more_and_another_one_is_refused(recipe, folder, tmp_path):
    out = tmp_path / "run"
    common = (recipe, folder, "--out", out, "--init", "none", "--epochs")
    call(*common, 1)
    written = (out / "weights.npz").read_bytes()
    assert call(*common, 1).exit_code == 0
    assert np.array_equal(written, (out / "weights.npz").read_bytes())
    with pytest.raises(RunDiffers, match=r"another recipe\.fit\.epochs: 1, not 3"):
        call(*common, 3)
    with pytest.raises(RunDiffers, match="seed"):
        call(*common, 1, "--seed", 2)


def test_what_is_missing_is_named(recipe, folder, tmp_path):
    common = (recipe, folder, "--out", tmp_path / "run", "--init")
    with pytest.raises(SplitMissing, match="nowhere"):
        call(*common, "none", "--split", "nowhere")
    with pytest.raises(StartWeightsMissing):
        call(*common, tmp_path / "none.npz")
    with pytest.raises(ClassEmpty, match="FaceSwap"):
        call(*common, "none", "--classes", "Youtube,FaceSwap")


def test_a_split_that_leaks_stops_the_run_before_it_begins(recipe, table, tmp_path):
    rows = [replace(crop, identities=("anna",)) for crop in table.crops]
    CropTable(rows).write(tmp_path / "leaky")
    (tmp_path / "leaky" / "faces").symlink_to(table.folders["made"] / "faces")
    sides = {key: list(Side)[n % 3] for n, key in enumerate(table.keys)}
    split = tmp_path / "leaky.parquet"
    Split("leaky", sides).write(split)
    common = (recipe, tmp_path / "leaky", "--init", "none", "--epochs", 1, "--split", split)
    with pytest.raises(SplitSharesIdentity, match="anna"):
        call(*common, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    Split("leaky", sides, facts={"leaks": "by image"}).write(split)
    assert call(*common, "--out", tmp_path / "run").exit_code == 0
