"""`fimq train calibrate`."""

from __future__ import annotations

from pathlib import Path

import click

from fimq_training.commands import installed

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
RATE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command("calibrate")
@click.argument("run", type=FOLDER)
@click.argument("crops", nargs=-1, required=True, type=FOLDER)
@click.option("--split", metavar="NAME|FILE", help="The one that RUN was fitted with.")
@click.option(
    "--fpr",
    type=RATE,
    default=0.01,
    show_default=True,
    help="Real videos that may be called manipulated, as a share.",
)
@click.option(
    "--missed",
    type=RATE,
    default=0.1,
    show_default=True,
    help="Manipulated videos that may be cleared, as a share.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the simulation."
)
def calibrate(
    run: Path, crops: tuple[Path, ...], *, split: str | None, fpr: float, missed: float, seed: int
) -> None:
    """Set what scores of RUN mean, and from where on a policy may act.

    On the validation side of the split: temperature and bias, the pooling of tracks, and both
    thresholds, for whole videos of every length. Writes RUN/calibration.json for the export.

    Example: fimq train calibrate runs/one crops --fpr 0.01
    """
    installed.tensorflow()
    from fimq_training.calibration import operating_points
    from fimq_training.crops.sampling import sampling
    from fimq_training.crops.table import CropTable
    from fimq_training.evaluation import models
    from fimq_training.evaluation.predictions import Predictions
    from fimq_training.fitting.run import Run
    from fimq_training.splits.split import Side, Split, find_split

    table = CropTable.read(*crops)
    given = None if split is None else Split.read(find_split(split, table))
    sides = Run.read(run).split_for(run, given)
    rows = table.rows(sides.keys(Side.VALIDATION))
    predictions = Predictions.make(rows, models.load(run, raw=True))
    points = operating_points.find(
        predictions, wanted=fpr, missed=missed, sampling=sampling(rows), seed=seed
    )
    points.write(run)
    click.echo(f"high precision {points.high_precision:.3f}, high recall {points.high_recall:.3f}")
    for name, rate in points.simulated.items():
        alone = points.any_frame[name]
        click.echo(
            f"simulated video of {name:>6}: {rate:.2%} false positives "
            f"(any frame at its 10 s threshold: {alone:.0%})"
        )
    if points.promise > fpr:
        click.echo(
            f"warning: {points.real_people} people allow to promise no less than "
            f"{points.promise:.0%}, not {fpr:.1%}",
            err=True,
        )
    click.echo(f"Next: fimq train evaluate {run} {' '.join(map(str, crops))}", err=True)
