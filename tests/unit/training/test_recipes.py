import pytest

from extras import need

need("tensorflow", extra="training")

from fimq.errors import RecipeInvalid, RecipeMissing
from fimq_training.fitting.plan import Plan
from fimq_training.networks.paper import NETWORKS
from fimq_training.recipes.recipe import HOUSE, Recipe, find, of_the_house

PAPER = (
    "paper-baseline-7class",
    "paper-baseline-binary",
    "paper-efficientnetb0-7class",
    "paper-efficientnetb0-binary",
)


def parameters(net, name):
    return net.get_layer(name).count_params()


class TestPapersNetworks:
    def test_the_baseline_has_the_papers_parameters(self):
        net = NETWORKS["baseline"](2, 128)
        counts = [layer.count_params() for layer in net.layers if layer.count_params()]
        assert counts[:3] == [39, 123, 1_816]
        assert counts[3:] == [300 * (64 * 122 * 122 + 1), 128 * 301, 2 * 129]

    def test_efficientnet_has_the_papers_parameters(self):
        net = NETWORKS["efficientnet_b0"](2, 128)
        # Keras's own normalisation layer has 7 that the paper's did not have.
        assert net.count_params() == 4_524_766 + 7
        trainable = sum(int(v.value.shape.num_elements()) for v in net.trainable_weights)
        assert trainable == 4_482_750
        assert net.count_params() - trainable == 42_016 + 7
        head = [layer.count_params() for layer in net.layers[-5:] if layer.count_params()]
        assert head == [384_300, 90_300, 602]

    def test_seven_classes_change_the_last_layer_alone(self):
        two, seven = (NETWORKS["efficientnet_b0"](classes, 128) for classes in (2, 7))
        assert seven.count_params() - two.count_params() == 5 * 301


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_recipes_are_the_papers(name):
    recipe = Recipe.read(find(name))
    assert recipe.fit == Plan(epochs=10, batch=64, optimizer="adam", rate=0.001, patience=5)
    assert (recipe.alterations.flip, recipe.alterations.zoom, recipe.alterations.shear) == (
        True,
        0.1,
        0.5,
    )
    assert recipe.network.size == 128
    assert recipe.data.split == "paper"
    assert recipe.network.init == ("imagenet" if "efficientnet" in name else "none")
    assert len(recipe.data.classes) == (7 if "7class" in name else 0)


def test_every_recipe_of_the_house_is_named_as_its_file_and_says_what_to_expect():
    recipes = list(of_the_house())
    assert {recipe.name for recipe in recipes} == {path.stem for path in HOUSE.glob("*.toml")}
    for recipe in recipes:
        assert recipe.command.startswith("fimq train ")
        assert all((recipe.title, recipe.source, recipe.time, recipe.expect))


def test_a_misspelt_key_is_refused_by_its_name(tmp_path):
    text = (HOUSE / "paper-baseline-binary.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace("patience", "patients"))
    with pytest.raises(RecipeInvalid, match=r"fit\.patients"):
        Recipe.read(tmp_path / "mine.toml")


def test_one_that_is_not_there_names_those_that_are():
    with pytest.raises(RecipeMissing, match="paper-baseline-binary"):
        find("papier")


class TestPlan:
    def test_a_cosine_rises_and_falls(self):
        plan = Plan(epochs=1, rate=0.1, schedule="cosine", warm_up=0.1, last=0.1)
        rates = [plan.rate_at(step, 100) for step in range(101)]
        assert 0 < rates[0] < rates[5] < rates[10] == pytest.approx(0.1)
        assert rates[10:] == sorted(rates[10:], reverse=True)
        assert rates[100] == pytest.approx(0.01)

    def test_a_constant_rate_stays(self):
        plan = Plan(epochs=1, rate=0.1)
        assert {plan.rate_at(step, 100) for step in range(100)} == {0.1}
