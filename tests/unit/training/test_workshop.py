import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from extras import need

need("tensorflow", extra="training")

import fimq.models
from fimq.errors import RecipeInvalid, RunDiffers
from fimq_training import workshop as room
from fimq_training.arrays import write_arrays
from fimq_training.commands.make import make
from fimq_training.recipes.recipe import PaintersPart, Recipe, find
from fimq_training.workshop import Inputs, Workshop

DEFAULT = Path(fimq.models.__file__).parent / "default"


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.csv").write_text("folder,file,identity_id\n")
    return Inputs(data=tmp_path / "data", models=tmp_path, carrier=tmp_path / "carrier.tgz")


def begun(tmp_path, inputs, recipe):
    workshop = Workshop(tmp_path / "run", inputs, recipe)
    workshop.agree()
    return json.loads((tmp_path / "run" / "recipe.json").read_text())


def test_a_folder_goes_on_with_its_own_recipe_and_data_alone(tmp_path, inputs):
    recipe = Recipe.read(find("fimq-default"))
    assert begun(tmp_path, inputs, recipe) == begun(tmp_path, inputs, recipe)
    begun(tmp_path, inputs, recipe.model_copy(update={"title": "In other words"}))
    wider = recipe.data.model_copy(update={"context": 1.6})
    with pytest.raises(RunDiffers, match="another data"):
        begun(tmp_path, inputs, recipe.model_copy(update={"data": wider}))
    (inputs.data / "manifest.csv").write_text("folder,file,identity_id\na,b,c\n")
    with pytest.raises(RunDiffers, match="another manifest"):
        begun(tmp_path, inputs, recipe)


def test_a_recipe_on_crops_is_not_made_here(tmp_path, inputs):
    with pytest.raises(RecipeInvalid, match="not fitted on pairs"):
        Workshop(tmp_path, inputs, Recipe.read(find("paper-baseline-binary")))


def test_branches_start_from_the_trunk_with_what_the_recipe_says_of_them(
    tmp_path, inputs, monkeypatch
):
    recipe = Recipe.read(find("fimq-default"))
    branches = recipe.data.branches.model_copy(update={"count": 3, "epochs": 2, "ema": 0.5})
    recipe = recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"branches": branches}),
            "fit": recipe.fit.model_copy(update={"schedule": "constant"}),
        }
    )
    runs = []
    monkeypatch.setattr(room, "side_by_side", lambda fits: runs.append(fits) or ())
    run = Workshop(tmp_path / "run", inputs, recipe)
    assert list(run.fit()) == []
    (trunk,), several = runs
    assert trunk.plan == recipe.fit
    assert trunk.start == tmp_path / "run" / "start.npz"
    assert {fit.start for fit in several} == {trunk.folder / "weights.npz"}
    assert len({(fit.folder, fit.seed) for fit in several}) == 3
    for fit in several:
        assert (fit.plan.epochs, fit.plan.ema, fit.plan.schedule) == (2, 0.5, "cosine")
        assert fit.plan.rate == trunk.plan.rate


def test_a_fit_that_has_ended_is_not_fitted_again(tmp_path, inputs, monkeypatch):
    runs = []
    monkeypatch.setattr(room, "side_by_side", lambda fits: runs.append(fits) or ())
    run = Workshop(tmp_path / "run", inputs, Recipe.read(find("fimq-default")))
    for name in ("trunk", "branch_1"):
        folder = tmp_path / "run" / "fits" / name
        folder.mkdir(parents=True)
        (folder / "weights.npz").touch()
    list(run.fit())
    assert [[fit.folder.name for fit in fits] for fits in runs] == [[], ["branch_0"]]


def test_painters_are_fitted_before_pairs_and_the_last_is_for_held_out_people_alone(
    tmp_path, inputs, monkeypatch
):
    recipe = Recipe.read(find("fimq-default"))
    painters = PaintersPart(count=2, epochs=3, share=0.25, seed=31)
    data = recipe.data.model_copy(update={"painters": painters})
    runs, fillings = [], []

    def fitted(fits):
        runs.append(fits)
        for fit in fits:
            fit.folder.mkdir(parents=True)
            write_arrays(fit.folder / "weights.npz", {"w": np.zeros(1)})
        return ()

    def written(weights, upsampling, out):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(upsampling)

    monkeypatch.setattr(room, "side_by_side", fitted)
    monkeypatch.setattr(room, "write_painter", written)
    monkeypatch.setattr(room.Filling, "run", lambda self: fillings.append(self) or ())
    run = Workshop(tmp_path / "run", inputs, recipe.model_copy(update={"data": data}))
    assert len(list(run.fit_painters())) == 3
    (fits,) = runs
    assert [fit.seed for fit in fits] == [31, 32, 33]
    assert len({fit.upsampling for fit in fits}) == 3
    assert {fit.epochs for fit in fits} == {3}
    assert list(run.fit_painters()) == []
    list(run.make_pairs())
    for filling in fillings:
        assert [path.name for path in filling.drawing.painters] == ["0.onnx", "1.onnx"]
        assert filling.drawing.rendered == 0.25


def test_a_recipe_that_goes_on_from_another_makes_that_first_unless_a_package_is_named(
    tmp_path, inputs, monkeypatch
):
    runs = []

    def run(self, _created, _outside):
        runs.append((self.out, self._recipe.name, self._inputs.package))
        shutil.copytree(DEFAULT, self.package)
        yield room.Stage("package", "written")

    monkeypatch.setattr(Workshop, "run", run)
    inputs.carrier.touch()
    words = ["fimq-default", str(inputs.data), "--models", str(tmp_path)]
    words += ["--carrier", str(inputs.carrier)]
    made = CliRunner().invoke(make, [*words, "--out", str(tmp_path / "both")])
    assert made.exit_code == 0, made.output
    assert "fimq-first, package: written" in made.output
    first = tmp_path / "both" / "first"
    assert runs == [
        (first, "fimq-first", None),
        (tmp_path / "both", "fimq-default", first / "package"),
    ]
    del runs[:]
    named = CliRunner().invoke(make, [*words, "--from", str(DEFAULT), "--out", str(tmp_path / "b")])
    assert named.exit_code == 0, named.output
    assert runs == [(tmp_path / "b", "fimq-default", DEFAULT)]


def test_a_folder_goes_on_from_one_package_alone(tmp_path, inputs):
    recipe = Recipe.read(find("fimq-default"))
    begun(tmp_path, replace(inputs, package=DEFAULT), recipe)
    with pytest.raises(RunDiffers, match="another from"):
        begun(tmp_path, inputs, recipe)
