"""`fimq train export`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from fimq.errors import UsageError
from fimq_training.commands import installed

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("export")
@click.argument("run", type=FOLDER)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Of the model.")
@click.option("--version", required=True, help="Of the model, as 1.0.0.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    required=True,
    metavar="'NAME | SOURCE | LICENCE'",
    help="Data that it was fitted on; once for each.",
)
@click.option(
    "--precision",
    type=click.Choice(["f16", "f32"]),
    default="f16",
    show_default=True,
    help="How kernels are stored; f16 halves the file.",
)
def export(
    run: Path, out: Path, *, name: str, version: str, sources: tuple[str, ...], precision: str
) -> None:
    """Write RUN, which was calibrated, as a package that workers can load.

    The file is held to the network through every runtime that is installed; where one of them
    scores otherwise, nothing is written.

    Example: fimq train export runs/one package --name ours --version 1.0.0 --source "A | B | C"
    """
    installed.tensorflow()
    listed = []
    for source in sources:
        parts = [part.strip() for part in source.split("|")]
        if len(parts) != 3 or not all(parts):
            raise UsageError(f"--source {source!r} is not NAME | SOURCE | LICENCE")
        listed.append(dict(zip(("name", "source", "licence"), parts, strict=True)))
    from fimq_training.export.run_package import Release, write

    release = Release(name, version, datetime.now(UTC), tuple(listed))
    passed = write(run, out, release, "f32" if precision == "f32" else "f16")
    for runtime, difference in passed.differences.items():
        click.echo(f"{runtime}: scores differ by up to {difference:.1e}", err=True)
    if passed.engine_bytes is not None:
        click.echo(f"tensorrt-rtx: builds an engine of {passed.engine_bytes} bytes", err=True)
    click.echo(str(out))
    click.echo(f"Next: fimq models import {out}", err=True)
