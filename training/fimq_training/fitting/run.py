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

import tensorflow as tf
from numpy.typing import NDArray

from fimq.errors import RunDiffers, RunMissing
from fimq_training.arrays import read_arrays
from fimq_training.disk import room_for
from fimq_training.networks.names import by_name
from fimq_training.recipes.recipe import Recipe
from fimq_training.splits.split import Side, Split

FILE = "run.json"
SPLIT = "split.parquet"  #: the split that the fit is made with, whatever becomes of the original


@dataclass(frozen=True, slots=True)
class Run:
    """What a folder holds a fit of."""

    recipe: Recipe
    classes: tuple[str, ...]  #: by their index
    manipulated: dict[str, bool]  #: of each class
    crops: str  #: fingerprint of the crops that were used
    split: str  #: name of the split
    sides: str  #: fingerprint of its sides
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
            made_by = {name: version(name) for name in ("fimq", "keras", "numpy")}
            made_by["tensorflow"] = tf.__version__  # its distribution has several names
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

    def split_for(self, folder: Path, other: Split | None) -> Split:
        """The split to measure by: the one that was fitted with, or another one.

        Raises:
            RunDiffers: the other one measures on crops that were fitted on.
            SplitMissing, SplitDamaged: the run's own cannot be read.
        """
        own = Split.read(folder / SPLIT)
        if other is None:
            return own
        fitted = set(own.keys(Side.TRAIN))
        seen = [k for s in (Side.VALIDATION, Side.TEST) for k in other.keys(s) if k in fitted]
        if seen:
            raise RunDiffers(
                f"{folder} was fitted on {len(seen)} crops that {other.name} measures on, "
                f"as {seen[0]}"
            )
        return other

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
    """What differs; inside the recipe the first value that does, as it was and is."""
    if key != "recipe":
        return key
    was, its, path = before[key], now[key], [key]
    while isinstance(was, dict) and isinstance(its, dict):
        name = next(n for n in its if was.get(n) != its[n])
        was, its = was.get(name), its[name]
        path.append(name)
    return f"{'.'.join(path)}: {was}, not {its}"
