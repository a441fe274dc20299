"""`fimq train fit`."""

from __future__ import annotations

from pathlib import Path

import click

from fimq_training.commands import installed

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
#: What every generator takes.
SEED = click.IntRange(0, 2**32 - 1)


@click.command("fit")
@click.argument("recipe")
@click.argument("crops", nargs=-1, required=True, type=FOLDER)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--split", metavar="NAME|FILE", help="The recipe's if left out.")
@click.option("--init", metavar="imagenet|FILE|none", help="Start weights; the recipe's.")
@click.option(
    "--classes",
    metavar="A,B,...|all",
    help="Collections to tell apart, or all there are; the recipe's.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option(
    "--seed",
    type=SEED,
    default=1,
    show_default=True,
    help="Of weights, order and alterations.",
)
def fit(
    recipe: str,
    crops: tuple[Path, ...],
    *,
    out: Path,
    split: str | None,
    init: str | None,
    classes: str | None,
    epochs: int | None,
    seed: int,
) -> None:
    """Fit RECIPE to CROPS, folders that `fimq train prepare` made.

    Can be stopped at any time; the same command goes on where it was.

    Example: fimq train fit paper-efficientnetb0-binary crops --split official --init start.npz
    --out runs/one
    """
    installed.tensorflow()
    from fimq_training.commands.progress import show
    from fimq_training.crops.table import CropTable
    from fimq_training.fitting.preparation import prepare
    from fimq_training.recipes.recipe import Recipe, find

    chosen = Recipe.read(find(recipe)).changed(classes=classes, epochs=epochs, split=split)
    running = prepare(chosen, CropTable.read(*crops), out, init=init, seed=seed)
    show(running)
    best = running.history.best
    if best is not None:
        loss = "" if best.val_loss is None else f", validation loss {best.val_loss:.4f}"
        click.echo(f"{out}: best epoch {best.epoch}{loss}")
    folders = " ".join(str(folder) for folder in crops)
    click.echo(f"Next: fimq train calibrate {out} {folders}", err=True)
