"""A run: the folder of one fit, and `run.json`, which says what it is a fit of.

A fit goes on in its folder only if everything that decides it is what it was: recipe, crops,
split, start weights, seed. What reads a run later (evaluate, export) builds the network from
its recipe and takes the arrays from its files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from fimq.errors import RunDiffers, RunMissing
from fimq_training.arrays import read_arrays
from fimq_training.disk import room_for
from fimq_training.networks.names import by_name
from fimq_training.recipes.recipe import Recipe

FILE = "run.json"


@dataclass(frozen=True, slots=True)
class Run:
    """What a folder holds a fit of."""

    recipe: Recipe
    classes: tuple[str, ...]  #: by their index
    manipulated: dict[str, bool]  #: of each class
    crops: str  #: fingerprint of the crops that were used
    split: str  #: name of the split
    init: str  #: `imagenet`, `none`, or the sha256 of the start weights' file
    seed: int

    def begin(self, folder: Path) -> None:
        """Write `run.json`, or find that it is there and says the same.

        Raises:
            RunDiffers: it says another thing; the first difference is named.
            DiskFull: there was no room.
        """
        path = folder / FILE
        if not path.exists():
            made_by = {name: version(name) for name in ("fimq", "keras", "numpy", "tensorflow-cpu")}
            part = path.with_suffix(".part")
            text = json.dumps(self.facts() | {"made_by": made_by}, indent=2) + "\n"
            with room_for(path):
                folder.mkdir(parents=True, exist_ok=True)
                part.write_text(text)
                part.replace(path)
            return
        before, now = Run.read(folder).facts(), self.facts()
        for key, value in now.items():
            if before[key] != value:
                raise RunDiffers(f"{folder} holds a fit with another {_where(key, before, now)}")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read `run.json`.

        Raises:
            RunMissing: there is none, or it is not one.
        """
        try:
            facts = json.loads((folder / FILE).read_text(encoding="utf-8"))
            facts.pop("made_by")
            recipe = Recipe.model_validate(facts.pop("recipe"))
            return cls(recipe=recipe, classes=tuple(facts.pop("classes")), **facts)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunMissing(f"{folder} holds no fit") from error

    def weights(self, folder: Path, name: str = "best.npz") -> dict[str, NDArray[Any]]:
        """The arrays of the best epoch.

        Raises:
            RunMissing: no epoch has ended yet.
            ArraysDamaged: the file is not whole.
        """
        if not (folder / name).exists():
            raise RunMissing(f"{folder} has no {name}: no epoch has ended yet")
        return read_arrays(folder / name)

    def facts(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        facts["recipe"] = self.recipe.model_dump(mode="json")
        facts["classes"] = list(self.classes)
        return facts


def put(model: Any, arrays: dict[str, NDArray[Any]]) -> None:
    """Fill a model with the arrays that `Fit.weights` gave.

    Raises:
        RunMissing: they are not of this network.
    """
    variables = by_name(model.weights)
    fits = variables.keys() == arrays.keys() and all(
        tuple(variable.shape) == arrays[name].shape for name, variable in variables.items()
    )
    if not fits:
        raise RunMissing("The weights are not of this recipe's network")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _where(key: str, before: dict[str, Any], now: dict[str, Any]) -> str:
    """The name of what differs; inside the recipe, of the part that does."""
    if key != "recipe":
        return key
    parts = [name for name in now[key] if before[key].get(name) != now[key][name]]
    return f"recipe ({', '.join(parts)})"
