"""From a recipe and crops to a fit that can be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from fimq.errors import RecipeInvalid
from fimq_training.crops.table import CropTable
from fimq_training.fitting.crop_task import BINARY, Classes, CropTask
from fimq_training.fitting.fit import Fit
from fimq_training.fitting.inputs import CropInputs
from fimq_training.fitting.matched_inputs import MatchedInputs, Matches
from fimq_training.fitting.matched_task import MatchedTask
from fimq_training.fitting.networks import Start
from fimq_training.fitting.run import FILE, SPLIT, Run
from fimq_training.fitting.task import Task
from fimq_training.recipes.recipe import CropsPart, MatchedPart, PairsPart, Recipe
from fimq_training.splits.audit import audit
from fimq_training.splits.split import Side, Split, find_split

log = structlog.get_logger(__name__)

REAL = "real"  #: the class of `fimq-supervised` beside its methods


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A task, and the classes that it tells apart."""

    task: Task
    classes: tuple[str, ...]
    manipulated: dict[str, bool]


def prepare(recipe: Recipe, table: CropTable, out: Path, *, init: str | None, seed: int) -> Fit:
    """A fit of `recipe` in the folder `out`, new or taken up again.

    Raises:
        RecipeInvalid: it is not fitted on crops.
        SplitMissing, CropsMissing: the split is not there, or names crops that are not.
        SplitSharesIdentity, SplitSharesVideo, SplitSharesPicture: the split leaks, and its rule
            does not say so.
        ClassEmpty: a class has no crops on a side.
        ClassMixed: a class has crops of both labels.
        OriginalsMissing: fakes were to be beside their originals, and have none.
        StartWeightsMissing, StartWeightsInvalid: there is nothing to start from.
        RunDiffers: the folder holds a fit of something else.
    """
    data = recipe.data
    if isinstance(data, PairsPart):
        raise RecipeInvalid(f"{recipe.name} is not fitted on crops: fimq train make {recipe.name}")
    split = Split.read(find_split(data.split, table))
    found = audit(table, split)
    if "leaks" in split.facts:
        log.warning("the split leaks, as it says", leaks=found.counts)
    else:
        found.stop()
    sides = {side: table.rows(split.keys(side)) for side in (Side.TRAIN, Side.VALIDATION)}
    start = Start(init or recipe.network.init)
    if isinstance(data, MatchedPart):
        prepared = _matched(recipe, data, sides, start, seed)
    else:
        prepared = _named(recipe, data, sides, start, seed)
    used = CropTable([*sides[Side.TRAIN].crops, *sides[Side.VALIDATION].crops])
    run = Run(
        recipe=recipe,
        classes=prepared.classes,
        manipulated=prepared.manipulated,
        crops=used.fingerprint,
        split=split.name,
        sides=split.fingerprint,
        init=start.name,
        seed=seed,
    )
    if (out / FILE).exists():
        run.begin(out)
    # Built before a new folder is said to be its own: start weights may not fit.
    fit = Fit(out, prepared.task, recipe.fit, seed)
    run.begin(out)
    if not (out / SPLIT).exists():
        split.write(out / SPLIT)
    return fit


def _named(
    recipe: Recipe, data: CropsPart, sides: Mapping[Side, CropTable], start: Start, seed: int
) -> _Prepared:
    """Crops, each with its class."""
    classes, plan = _classes(data, sides[Side.TRAIN]), recipe.fit

    def inputs(side: Side) -> CropInputs:
        examples = classes.examples(sides[side], balanced=plan.class_weights == "balanced")
        return CropInputs(examples, size=recipe.network.size, batch=plan.batch, seed=seed)

    task = CropTask(
        lambda: start.build(recipe.network, len(classes.names), seed),
        inputs(Side.TRAIN),
        inputs(Side.VALIDATION) if len(sides[Side.VALIDATION]) else None,
        classes=len(classes.names),
        alterations=recipe.alterations,
        smoothing=plan.smoothing,
    )
    return _Prepared(task, classes.names, classes.manipulated(sides[Side.TRAIN]))


def _matched(
    recipe: Recipe, data: MatchedPart, sides: Mapping[Side, CropTable], start: Start, seed: int
) -> _Prepared:
    """Fakes, each beside its original."""
    train = Matches.of(sides[Side.TRAIN])
    methods = train.methods

    def inputs(matches: Matches) -> MatchedInputs:
        pairs = max(1, recipe.fit.batch // 2)
        return MatchedInputs(matches, methods, size=recipe.network.size, pairs=pairs, seed=seed)

    validation = sides[Side.VALIDATION]
    task = MatchedTask(
        lambda: start.build(recipe.network, 1 + len(methods), seed),
        inputs(train),
        inputs(Matches.of(validation)) if len(validation) else None,
        steps=data.steps,
        shares=train.shares(data.ours),
        alterations=recipe.alterations,
        smoothing=recipe.fit.smoothing,
    )
    classes = (REAL, *methods)
    return _Prepared(task, classes, {name: name != REAL for name in classes})


def _classes(data: CropsPart, table: CropTable) -> Classes:
    if data.by == "label":
        return Classes(BINARY, "label")
    if data.classes:
        return Classes(data.classes, "collection")
    return Classes.of(table)
