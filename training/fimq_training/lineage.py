"""Lineage: a recipe, the one whose package it goes on from, and so on; made from the first on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from fimq.errors import RecipeInvalid, RunDiffers
from fimq_training.recipes.recipe import PairsPart, Recipe, find
from fimq_training.workshop import Inputs, Stage, Workshop


def made(
    out: Path, inputs: Inputs, recipe: Recipe, created: datetime, outside: Mapping[str, Any]
) -> Iterator[Stage]:
    """Make a recipe's package in `out`, and first those that it goes on from, in `out`/first.

    Raises:
        RecipeInvalid, RecipeMissing: a recipe goes on from itself, or from what is none.
        RunDiffers: as `Workshop.agree`; or the folder was begun with a package that is not named.
        As `Workshop.run`.
    """
    line = list(_lineage(recipe)) if inputs.package is None else [recipe]
    folders = [out.joinpath(*["first"] * number) for number in range(len(line))]
    for folder, later in zip(folders[1:], folders, strict=False):
        if (later / "recipe.json").exists() and not (folder / "package").exists():
            raise RunDiffers(f"{later} was begun with a package: --from")
    for number, each in reversed(list(enumerate(line))):
        workshop = Workshop(folders[number], inputs, each)
        last = number == 0
        if last or not workshop.package.exists():
            for stage in workshop.run(created, outside if last else {}):
                yield stage if last else Stage(f"{each.name}, {stage.name}", stage.text)
        else:
            workshop.agree()
        inputs = replace(inputs, package=workshop.package, remade=True)


def _lineage(recipe: Recipe) -> Iterator[Recipe]:
    """A recipe, the one that it goes on from, and so on."""
    names: list[str] = []
    while True:
        if recipe.name in names:
            raise RecipeInvalid(f"{recipe.name} goes on from itself")
        names.append(recipe.name)
        yield recipe
        if not isinstance(recipe.data, PairsPart) or recipe.data.after is None:
            return
        recipe = Recipe.read(find(recipe.data.after))
