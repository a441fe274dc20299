import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from extras import need

need("tensorflow", extra="training")

import fimq.models
from fimq.errors import DatasetMissing, PackageUnfit, RecipeInvalid, RunDiffers
from fimq_training import workshop as room
from fimq_training.arrays import write_arrays
from fimq_training.commands.make import make
from fimq_training.recipes.recipe import PaintersPart, Recipe, find
from fimq_training.workshop import Inputs, Workshop
from tinymodel import write_package

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
    recipe = Recipe.read(find("fimq-painted"))
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
    recipe = Recipe.read(find("fimq-painted"))
    branches = recipe.data.branches.model_copy(update={"count": 3, "epochs": 2, "ema": 0.5})
    recipe = recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"branches": branches}),
            "fit": recipe.fit.model_copy(update={"schedule": "constant"}),
        }
    )
    runs = []
    monkeypatch.setattr(room, "side_by_side", lambda fits, **_: runs.append(fits) or ())
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
    monkeypatch.setattr(room, "side_by_side", lambda fits, **_: runs.append(fits) or ())
    run = Workshop(tmp_path / "run", inputs, Recipe.read(find("fimq-painted")))
    for name in ("trunk", "branch_1"):
        folder = tmp_path / "run" / "fits" / name
        folder.mkdir(parents=True)
        (folder / "weights.npz").touch()
    list(run.fit())
    assert [[fit.folder.name for fit in fits] for fits in runs] == [[], ["branch_0"]]


def test_painters_are_fitted_before_pairs_and_the_last_is_for_held_out_people_alone(
    tmp_path, inputs, monkeypatch
):
    recipe = Recipe.read(find("fimq-painted"))
    painters = PaintersPart(count=2, epochs=3, share=0.25, seed=31)
    data = recipe.data.model_copy(update={"painters": painters})
    runs, fillings = [], []

    def fitted(fits, **_):
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


class Making:
    """`Workshop.run` that copies the default package, or is killed after it has begun."""

    def __init__(self):
        self.runs, self.killed = [], None

    def __call__(self, workshop, _created, _outside):
        workshop.agree()
        self.runs.append((workshop._recipe.name, workshop._inputs.package))
        if workshop._recipe.name == self.killed:
            raise KeyboardInterrupt
        if not workshop.package.exists():
            shutil.copytree(DEFAULT, workshop.package)
        facts = json.loads((workshop.package / "manifest.json").read_text())
        facts["created"] = datetime.now(UTC).isoformat()
        (workshop.package / "manifest.json").write_text(json.dumps(facts))
        yield room.Stage("package", "written")


@pytest.fixture
def making(monkeypatch):
    making = Making()

    def run(workshop, created, outside):
        return making(workshop, created, outside)

    monkeypatch.setattr(Workshop, "run", run)
    return making


@pytest.fixture
def words(tmp_path, inputs):
    inputs.carrier.touch()
    models, carrier = ["--models", str(tmp_path)], ["--carrier", str(inputs.carrier)]
    return [str(inputs.data), *models, *carrier, "--out", str(tmp_path / "run")]


def test_a_recipe_that_goes_on_from_another_makes_that_first(tmp_path, making, words):
    made = CliRunner().invoke(make, ["fimq-painted", *words])
    assert made.exit_code == 0, made.output
    assert "fimq-default, package: written" in made.output
    package = tmp_path / "run" / "first" / "package"
    assert making.runs == [("fimq-default", None), ("fimq-painted", package)]
    assert made.stdout.strip() == str(tmp_path / "run" / "package")


def test_a_run_that_was_killed_after_the_first_goes_on(tmp_path, making, words):
    making.killed = "fimq-painted"
    CliRunner().invoke(make, ["fimq-painted", *words])
    making.killed = None
    made = CliRunner().invoke(make, ["fimq-painted", *words], catch_exceptions=False)
    assert made.exit_code == 0, made.output
    assert [name for name, _ in making.runs] == ["fimq-default", "fimq-painted", "fimq-painted"]


def test_a_package_that_is_named_is_not_made(tmp_path, making, words):
    named = ["fimq-painted", *words, "--from", str(DEFAULT)]
    made = CliRunner().invoke(make, named)
    assert made.exit_code == 0, made.output
    assert making.runs == [("fimq-painted", DEFAULT)]
    with pytest.raises(RunDiffers, match="--from"):
        CliRunner().invoke(make, ["fimq-painted", *words], catch_exceptions=False)
    assert len(making.runs) == 1


def test_recipes_that_go_on_from_each_other_are_made_from_the_first_on(tmp_path, making, words):
    text = find("fimq-painted").read_text()
    third = tmp_path / "third.toml"
    third.write_text(
        text.replace('name = "fimq-painted"', 'name = "third"').replace(
            'after = "fimq-default"', 'after = "fimq-painted"'
        )
    )
    CliRunner().invoke(make, [str(third), *words], catch_exceptions=False)
    run = tmp_path / "run"
    assert making.runs == [
        ("fimq-default", None),
        ("fimq-painted", run / "first" / "first" / "package"),
        ("third", run / "first" / "package"),
    ]
    third.write_text(
        text.replace('name = "fimq-painted"', 'name = "third"').replace(
            'after = "fimq-default"', f'after = "{third}"'
        )
    )
    with pytest.raises(RecipeInvalid, match="third goes on from itself"):
        CliRunner().invoke(make, [str(third), *words], catch_exceptions=False)


def test_a_package_of_another_network_is_refused_before_anything_is_written(tmp_path, inputs):
    tiny = write_package(tmp_path / "tiny")
    with pytest.raises(PackageUnfit):
        begun(tmp_path, replace(inputs, package=tiny), Recipe.read(find("fimq-painted")))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_package_is_named(tmp_path, inputs):
    with pytest.raises(PackageUnfit, match="run is no model package"):
        Workshop(
            tmp_path, replace(inputs, package=tmp_path / "run"), Recipe.read(find("fimq-default"))
        )


def test_a_data_folder_without_a_list_says_what_makes_one(tmp_path, inputs):
    (inputs.data / "manifest.csv").unlink()
    with pytest.raises(DatasetMissing, match="fimq train gather"):
        Workshop(tmp_path, inputs, Recipe.read(find("fimq-default")))


def test_the_painter_of_held_out_people_paints_them_and_nobody_else(tmp_path, inputs, monkeypatch):
    painters = []

    class Maker:
        def __init__(self, _samples, _seed, *given):
            drawing = given[-1]
            painters.append(getattr(drawing, "painters", drawing))

        def pairs(self, _draws):
            return []

        def pair(self):
            raise StopIteration

    monkeypatch.setattr(room, "ClipMaker", Maker)
    monkeypatch.setattr(room, "PairMaker", Maker)
    monkeypatch.setattr(room.SampleSet, "load", lambda _path: None)
    monkeypatch.setattr(room, "real_clips", lambda _samples: [])
    monkeypatch.setattr(room, "save_clips", lambda _clips, _path: None)
    run = Workshop(tmp_path / "run", inputs, Recipe.read(find("fimq-painted")))
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(run.make_held_out())
    assert [[path.name for path in some] for some in painters] == [["2.onnx"], ["2.onnx"]]


def test_a_stage_that_goes_on_with_fewer_fits_has_the_threads_of_the_whole(
    tmp_path, inputs, monkeypatch
):
    several = []
    monkeypatch.setattr(room, "side_by_side", lambda _fits, among: several.append(among) or ())
    run = Workshop(tmp_path / "run", inputs, Recipe.read(find("fimq-painted")))
    folder = tmp_path / "run" / "fits" / "branch_1"
    folder.mkdir(parents=True)
    (folder / "weights.npz").touch()
    list(run.fit())
    assert several == [1, 2]


def test_a_package_made_again_on_another_day_is_the_same_to_go_on_from(tmp_path, inputs):
    package = shutil.copytree(DEFAULT, tmp_path / "package")
    recipe = Recipe.read(find("fimq-painted"))
    begun(tmp_path, replace(inputs, package=package), recipe)
    facts = json.loads((package / "manifest.json").read_text())
    facts["created"] = datetime.now(UTC).isoformat()
    (package / "manifest.json").write_text(json.dumps(facts))
    begun(tmp_path, replace(inputs, package=package), recipe)


def test_a_folder_goes_on_from_one_package_alone(tmp_path, inputs):
    recipe = Recipe.read(find("fimq-painted"))
    begun(tmp_path, replace(inputs, package=DEFAULT), recipe)
    with pytest.raises(RunDiffers, match="another from"):
        begun(tmp_path, inputs, recipe)


def test_a_share_of_the_weights_before_is_kept_where_the_recipe_says_so(tmp_path, inputs):
    recipe = Recipe.read(find("fimq-painted"))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"kept": 0.25})})
    run = Workshop(tmp_path / "run", replace(inputs, package=DEFAULT), recipe)
    write_arrays(run.out / "ancestor.npz", {"head_b": np.array([4.0], np.float32)})
    for number, value in enumerate((1.0, 3.0)):
        fitted = {"head_b": np.array([value]), "mask_b": np.array([9.0])}
        folder = run.out / "fits" / f"branch_{number}"
        folder.mkdir(parents=True)
        write_arrays(folder / "weights.npz", fitted)
    assert run.weights() == {"head_b": 0.25 * 4 + 0.75 * 2}
    with pytest.raises(RecipeInvalid, match="keeps weights of a package"):
        list(Workshop(tmp_path / "other", inputs, recipe).run(datetime.now(UTC), {}))
