"""`fimq train render`."""

from __future__ import annotations

from pathlib import Path

import click

from fimq_training.commands import installed

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("render")
@click.argument("data", type=FOLDER)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--models", type=FOLDER, help="MediaPipe's face models; fimq's own if left out.")
@click.option(
    "--frames", type=click.IntRange(min=9), default=75, show_default=True, help="Of a film at most."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=5, show_default=True, help="Of every draw."
)
def render(data: Path, out: Path, *, models: Path | None, frames: int, seed: int) -> None:
    """Render held-out clips, real and forged, as videos to evaluate a model on.

    DATA is a folder as `fimq train gather` leaves it. Each clip of a person whom the default model
    was not fitted on becomes a real film and a forged one, each in several codecs and once halved,
    blurred and letterboxed. OUT/labels.csv says which is which.

    Example: fimq train render faces films
    """
    installed.require()
    from fimq.settings import load_settings
    from fimq_training.datasets.catalogue import Catalogue
    from fimq_training.manipulations.films import LABELS, FilmMaker, write_films
    from fimq_training.manipulations.landmarks import MeshReader
    from fimq_training.manipulations.samples import SampleReader, SampleSet
    from fimq_worker.vision.faces.full_range import FullRangeFinder

    folder = models or load_settings().face_models
    finder = FullRangeFinder(folder / "face_detection_full_range_sparse.tflite")
    meshes = MeshReader(folder / "face_landmark.tflite")
    clips = Catalogue.read(data).clips(held_out=True)
    samples = SampleSet(SampleReader(finder, meshes).clips(clips, 4))
    made = write_films(FilmMaker(samples, finder, meshes, seed).films(clips, frames), out)
    for number, (film, files) in enumerate(made, start=1):
        click.echo(f"{number} of up to {len(clips)}: {film.source}, {files} files", err=True)
    click.echo(str(out / LABELS))
    click.echo(f"Next: fimq evaluate {out} --labels {out / LABELS} --out evaluation", err=True)
