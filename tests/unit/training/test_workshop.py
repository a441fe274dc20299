import json

import pytest

from extras import need

need("tensorflow", extra="training")

from fimq.errors import RecipeInvalid, RunDiffers
from fimq_training.recipes.recipe import Recipe, find
from fimq_training.workshop import Inputs, Workshop


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
