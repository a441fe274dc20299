"""`fimq train split` and `fimq train audit`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fimq.errors import UsageError
from fimq_training.commands import installed

if TYPE_CHECKING:
    from fimq_training.splits.audit import Audit

_SHOWN = 20  #: leaks that are told one by one
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
SHARE = click.FloatRange(0, 1, max_open=True)


@click.command("split")
@click.argument("crops", nargs=-1, required=True, type=FOLDER)
@click.option(
    "--by",
    "rule",
    type=click.Choice(["people", "official", "paper", "paper-7class"]),
    default="people",
    show_default=True,
    help="Who decides: people, FaceForensics++'s pairs, or the paper, by image.",
)
@click.option("--validation", type=SHARE, default=0.1, show_default=True, help="Of `people`.")
@click.option("--test", type=SHARE, default=0.1, show_default=True, help="Of `people`.")
@click.option(
    "--pairs", type=FOLDER, help="Of `official`: folder with train.json, val.json, test.json."
)
@click.option(
    "--classes", metavar="A,B,...", help="Of `paper-7class`; all collections if left out."
)
@click.option(
    "--scale",
    type=click.FloatRange(0, 1, min_open=True),
    default=1,
    show_default=True,
    help="Of the paper's numbers of images, for smaller sets.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of every draw."
)
@click.option("--name", help="Of the file; the rule's if left out.")
def split(
    crops: tuple[Path, ...],
    *,
    rule: str,
    validation: float,
    test: float,
    pairs: Path | None,
    classes: str | None,
    scale: float,
    seed: int,
    name: str | None,
) -> None:
    """Choose which crops to fit on, to choose by, and to measure on.

    Writes splits/NAME.parquet into the first folder of CROPS. A split that leaks is not
    written; the paper's, which leaks by design, is, and says what.

    Example: fimq train split crops --by people
    """
    installed.require()
    from fimq_training.crops.table import CropTable
    from fimq_training.splits import paper, people
    from fimq_training.splits.audit import audit

    table = CropTable.read(*crops)
    if rule == "people":
        made = people.by_people(table, validation=validation, test=test, seed=seed)
    elif rule == "official":
        if pairs is None:
            raise UsageError("--by official needs --pairs, the folder of three files")
        made = people.official(table, pairs)
    elif rule == "paper":
        made = paper.binary(table, scale=scale, seed=seed)
    else:
        names = tuple(name.strip() for name in (classes or "").split(",") if name.strip())
        made = paper.by_collection(table, collections=names, scale=scale, seed=seed)
    found = audit(table, made)
    if "leaks" in made.facts:
        click.echo(f"warning: this split leaks, as the paper's did: {found.counts}", err=True)
        click.echo(
            "         Its figures say how well a model knows these videos, no more.", err=True
        )
    else:
        _show(found)
        found.stop()
    path = crops[0] / "splits" / f"{name or made.name}.parquet"
    replace(made, name=path.stem).write(path)
    if left_out := int(made.facts.get("left_out", 0)):
        click.echo(
            f"note: everyone hangs together, so people were dealt one by one; {left_out:,} crops "
            "that show people of two sides are left out",
            err=True,
        )
    counts = ", ".join(f"{count} {side}" for side, count in people.shares(made).items())
    click.echo(f"{path}: {counts}")
    folders = " ".join(map(str, crops))
    click.echo(f"Next: fimq train fit RECIPE {folders} --split {path.stem} --out RUN", err=True)


@click.command("audit")
@click.argument("crops", nargs=-1, required=True, type=FOLDER)
@click.option("--split", "name", required=True, metavar="NAME|FILE", help="What to look at.")
def audit_command(crops: tuple[Path, ...], *, name: str) -> None:
    """Look for people, videos and pictures on two sides of a split.

    Example: fimq train audit crops --split people
    """
    installed.require()
    from fimq_training.crops.table import CropTable
    from fimq_training.splits.audit import audit
    from fimq_training.splits.split import Split, find_split

    table = CropTable.read(*crops)
    found = audit(table, Split.read(find_split(name, table)))
    _show(found)
    found.stop()
    click.echo("nothing stands on two sides")


def _show(found: Audit) -> None:
    """The first leaks, a line each."""
    for leak in found.leaks[:_SHOWN]:
        one, other = leak.sides
        click.echo(f"{leak.error.code}  {leak.what}  {one}/{other}  {leak.example}", err=True)
