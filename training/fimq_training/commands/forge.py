"""`fimq train forge`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from fimq_training.commands import installed

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("forge")
@click.argument("data", type=FOLDER)
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--pairs", type=click.IntRange(min=1), default=2000, show_default=True, help="To make."
)
@click.option("--models", type=FOLDER, help="MediaPipe's face models; fimq's own if left out.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of every draw."
)
def forge(data: Path, out: Path, *, pairs: int, models: Path | None, seed: int) -> None:
    """Make crops of real and forged faces from real ones alone.

    DATA is a folder with manifest.csv (folder, file, identity_id). Collections are the sources
    of the real crops and the kinds of manipulation: SelfBlend, Swap, Reenactment. For recipes
    that tell classes apart where no data set of fakes is at hand.

    Example: fimq train forge faces forged --pairs 64
    """
    installed.require()
    from fimq.settings import load_settings
    from fimq_training.crops.forging import Forging
    from fimq_training.datasets.catalogue import Catalogue
    from fimq_training.manipulations.landmarks import MeshReader
    from fimq_training.manipulations.samples import SampleReader, SampleSet
    from fimq_worker.vision.faces.full_range import FullRangeFinder

    catalogue = Catalogue.read(data)
    listed = hashlib.sha256((data / "manifest.csv").read_bytes()).hexdigest()
    forging = Forging(out, seed, listed)
    forging.agree(pairs)
    stored = out / "samples.npz"
    if not stored.exists():
        folder = models or load_settings().face_models
        finder = FullRangeFinder(folder / "face_detection_full_range_sparse.tflite")
        reader = SampleReader(finder, MeshReader(folder / "face_landmark.tflite"))
        found = SampleSet(
            [
                *reader.portraits(catalogue.portraits(held_out=False)),
                *reader.clips(catalogue.clips(held_out=False), 10),
            ]
        )
        click.echo(f"{len(found)} faces of {len(found.people)} people", err=True)
        found.save(stored)
    for done in forging.run(SampleSet.load(stored), pairs):
        click.echo(f"{done} of {pairs} pairs", err=True)
    click.echo(str(out / "crops.parquet"))
    click.echo(f"Next: fimq train split {out}", err=True)
