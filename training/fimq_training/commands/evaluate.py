"""`fimq train evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from fimq.errors import UsageError
from fimq_training.commands import installed

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("evaluate")
@click.argument("model", type=FOLDER)
@click.argument("crops", nargs=-1, required=True, type=FOLDER)
@click.option("--split", metavar="NAME|FILE", help="The one that MODEL was fitted with.")
@click.option("--out", type=click.Path(path_type=Path), help="MODEL/evaluation if left out.")
@click.option("--robustness", is_flag=True, help="Also recode, shrink, blur, add noise.")
def evaluate(
    model: Path, crops: tuple[Path, ...], *, split: str | None, out: Path | None, robustness: bool
) -> None:
    """Measure MODEL, a run or a package, on the test side of a split of CROPS.

    Thresholds are chosen on the validation side. Scores of a run are calibrated once
    `fimq train calibrate` has been there. Writes report.json, report.md and pictures.

    Example: fimq train evaluate runs/one crops
    """
    installed.tensorflow()
    from fimq_training.crops.table import CropTable
    from fimq_training.evaluation import crop_report, models
    from fimq_training.evaluation.predictions import Predictions
    from fimq_training.evaluation.robustness import sweep
    from fimq_training.fitting.run import FILE, Run
    from fimq_training.splits.split import Side, Split, find_split

    table = CropTable.read(*crops)
    given = None if split is None else Split.read(find_split(split, table))
    if (model / FILE).exists():
        sides = Run.read(model).split_for(model, given)
    elif given is not None:
        sides = given
    else:
        raise UsageError("a package does not say which split to use: give --split")
    loaded = models.load(model)
    folder = out or model / "evaluation"
    made = {}
    for side in (Side.VALIDATION, Side.TEST):
        rows = table.rows(sides.keys(side))
        click.echo(f"{side}: {len(rows)} crops", err=True)
        made[side] = Predictions.make(rows, loaded)
    folder.mkdir(parents=True, exist_ok=True)
    test = made[Side.TEST]
    test.write(folder / "predictions.parquet")
    names = crop_report.class_names(test.crops, test.classes)
    rows = table.rows(sides.keys(Side.TEST))
    report = crop_report.CropReport(
        model=loaded.name,
        split=sides.name,
        sides=sides.fingerprint,
        crops=rows.fingerprint,
        leaks=sides.facts.get("leaks", ""),
        scores="calibrated" if loaded.calibrated else "raw",
        window_penalty=loaded.pooling.window_penalty,
        confusion=crop_report.confusion(test, names),
        measures=crop_report.measured(made[Side.VALIDATION], test),
        robustness=tuple(sweep(rows, loaded, test)) if robustness else (),
    )
    crop_report.write(report, test, folder)
    for measures in report.measures:
        click.echo(
            f"{measures.kind}: AUC {measures.auc}, {measures.real} real, "
            f"{measures.manipulated} manipulated, {measures.units} people"
        )
    click.echo(f"{folder / 'report.md'}")
    if (model / FILE).exists():
        way = f"export {model} PACKAGE --name NAME --version VERSION"
        if not loaded.calibrated:
            way = f"calibrate {model} {' '.join(map(str, crops))}; these scores are raw"
        click.echo(f"Next: fimq train {way}", err=True)
