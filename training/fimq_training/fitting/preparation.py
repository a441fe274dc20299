"""From a recipe and crops to a fit that can be run."""

from __future__ import annotations

from pathlib import Path

import structlog

from fimq.errors import RecipeInvalid
from fimq_training.crops.table import CropTable
from fimq_training.fitting.crop_task import BINARY, Classes, CropTask
from fimq_training.fitting.fit import Fit
from fimq_training.fitting.inputs import CropInputs
from fimq_training.fitting.networks import Start
from fimq_training.fitting.run import Run
from fimq_training.recipes.recipe import CropsPart, Recipe
from fimq_training.splits.audit import audit
from fimq_training.splits.split import Side, Split, find_split

log = structlog.get_logger(__name__)


def prepare(recipe: Recipe, table: CropTable, out: Path, *, init: str | None, seed: int) -> Fit:
    """A fit of `recipe` in the folder `out`, new or taken up again.

    Raises:
        RecipeInvalid: it is not fitted on crops.
        SplitMissing, CropsMissing: the split is not there, or names crops that are not.
        SplitSharesIdentity, SplitSharesVideo, SplitSharesPicture: the split leaks, and its rule
            does not say so.
        ClassEmpty: a class has no crops on a side.
        StartWeightsMissing, StartWeightsInvalid: there is nothing to start from.
        RunDiffers: the folder holds a fit of something else.
    """
    data = recipe.data
    if not isinstance(data, CropsPart):
        raise RecipeInvalid(f"{recipe.name} is not fitted on crops: fimq train make {recipe.name}")
    split = Split.read(find_split(data.split, table))
    found = audit(table, split)
    if "leaks" in split.facts:
        log.warning("the split leaks, as it says", leaks=found.counts)
    else:
        found.stop()
    sides = {side: table.rows(split.keys(side)) for side in (Side.TRAIN, Side.VALIDATION)}
    classes = _classes(data, sides[Side.TRAIN])
    start = Start(init or recipe.network.init)
    used = CropTable([*sides[Side.TRAIN].crops, *sides[Side.VALIDATION].crops])
    Run(
        recipe=recipe,
        classes=classes.names,
        manipulated=classes.manipulated(sides[Side.TRAIN]),
        crops=used.fingerprint,
        split=split.name,
        init=start.name,
        seed=seed,
    ).begin(out)
    plan = recipe.fit

    def inputs(side: Side) -> CropInputs:
        examples = classes.examples(sides[side], balanced=plan.class_weights == "balanced")
        return CropInputs(examples, size=recipe.network.size, batch=plan.batch, seed=seed)

    task = CropTask(
        lambda: start.build(recipe.network, len(classes.names)),
        inputs(Side.TRAIN),
        inputs(Side.VALIDATION) if len(sides[Side.VALIDATION]) else None,
        classes=len(classes.names),
        alterations=recipe.alterations,
        smoothing=plan.smoothing,
    )
    return Fit(out, task, plan, seed)


def _classes(data: CropsPart, table: CropTable) -> Classes:
    if data.by == "label":
        return Classes(BINARY, "label")
    if data.classes:
        return Classes(data.classes, "collection")
    return Classes.of(table)
