"""`fimq train prepare`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fimq.errors import ClassEmpty, UsageError
from fimq_training.commands import installed

if TYPE_CHECKING:
    from fimq_training.crops.making import Making, Shard
    from fimq_training.datasets.base import Item

#: As `datasets.known` has them; a test holds the two together.
NAMES = ("celeb-df", "celeba", "celeba-hq", "csv", "dfdc", "ffpp", "folder", "portraits")
FOLDER = click.Path(file_okay=False, path_type=Path)
_BAD_SHOWN = 20


class ShardType(click.ParamType["Shard"]):
    """`I/N`."""

    name = "I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Shard:
        """Read a shard."""
        from fimq_training.crops.making import Shard

        if isinstance(value, Shard):
            return value
        number, _, of = str(value).partition("/")
        if not number.isdecimal() or not of.isdecimal() or not 1 <= int(number) <= int(of):
            self.fail(f"{value!r} is not I/N with I from 1 to N", param, ctx)
        return Shard(int(number), int(of))


@click.command("prepare")
@click.argument("layout", metavar="NAME", type=click.Choice(NAMES))
@click.argument("root", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option("--every", type=click.IntRange(min=1), help="Take every Nth frame.  [default: 25]")
@click.option(
    "--frames", type=click.IntRange(min=1), help="Instead: at most N of a video, evenly spread."
)
@click.option(
    "--size",
    type=click.IntRange(16, 1024),
    default=128,
    show_default=True,
    help="Side of a crop in pixels.",
)
@click.option(
    "--largest/--all-faces",
    default=None,
    help="Faces of a frame; the largest of files that show one person if left out.",
)
@click.option(
    "--compression",
    "compressions",
    multiple=True,
    type=click.Choice(["raw", "c23", "c40"]),
    help="Of ffpp; may be repeated; those that there are if left out.",
)
@click.option("--methods", metavar="A,B,...", help="Of ffpp; those that there are if left out.")
@click.option(
    "--manipulated", multiple=True, metavar="CLASS", help="Of folder: a class of fakes; repeat it."
)
@click.option(
    "--manifest",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Of csv; ROOT/manifest.csv if left out.",
)
@click.option("--partial", is_flag=True, help="Take what there is of a set that lacks files.")
@click.option("--name", help="Of the data set in the table; NAME if left out.")
@click.option("--shard", type=ShardType(), help="Do part I of N; the last one writes the table.")
@click.option("--jobs", type=click.IntRange(min=1), help="Videos at once; cores if left out.")
@click.option("--queue", is_flag=True, help="Let all workers cut, by the lane `training`.")
@click.option("--dry-run", is_flag=True, help="Say what there is, and make nothing.")
def prepare(
    layout: str,
    root: Path,
    out: Path,
    *,
    every: int | None,
    frames: int | None,
    size: int,
    largest: bool | None,
    compressions: tuple[str, ...],
    methods: str | None,
    manipulated: tuple[str, ...],
    manifest: Path | None,
    partial: bool,
    name: str | None,
    shard: Shard | None,
    jobs: int | None,
    queue: bool,
    dry_run: bool,
) -> None:
    """Cut the faces of a data set: ROOT in one of the known layouts, OUT for the crops.

    Frames are sampled, faces found and cut as a worker does it. A file that cannot be read is
    counted and named, and stops nothing. Can be stopped at any time; the same command goes on
    where it was. With --queue the workers of the installation cut, on all its machines.

    Example: fimq train prepare ffpp FaceForensics++ crops --compression c23 --dry-run
    """
    installed.require()
    from fimq.cuts import Cut
    from fimq.settings import load_settings
    from fimq_training.commands.preparing import show
    from fimq_training.crops.extraction import Extraction
    from fimq_training.crops.local import LocalCutters
    from fimq_training.crops.making import Making, Shard
    from fimq_training.crops.queued import QueuedCutters
    from fimq_training.datasets.faceforensics import METHODS
    from fimq_training.datasets.known import open_data_set
    from fimq_worker.vision.crops import CropRule

    if out.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{out} lies in {root}: its crops would become files of the data set")
    if every is not None and frames is not None:
        raise UsageError("--every and --frames exclude each other")
    if queue and jobs is not None:
        raise UsageError("--queue and --jobs exclude each other: the workers' slots cut")
    chosen = tuple(filter(None, (methods or "").split(",")))
    if unknown := [method for method in chosen if method not in METHODS]:
        raise UsageError(f"--methods {unknown[0]}: there are {', '.join(METHODS)}")
    data_set = open_data_set(
        layout,
        root,
        compressions=compressions,
        methods=chosen,
        manipulated=manipulated,
        manifest=manifest,
        partial=partial,
    )
    items = data_set.items()
    if dry_run:
        _tell(layout, items)
        return
    settings = load_settings()
    cut = Cut(
        every=every or 25,
        frames=frames,
        size=size,
        scale=CropRule().scale,
        min_face=settings.min_face,
        max_faces=settings.max_faces,
        face_finder=settings.face_finder,
    )
    extraction = Extraction(name or layout, root, out, cut, largest)
    shard = shard or Shard()
    making = Making(
        extraction,
        items,
        {
            "layout": layout,
            "dataset": extraction.dataset,
            "every": None if frames else cut.every,
            "frames": frames,
            "size": size,
            "largest": largest,
            **cut.faces,
            **data_set.options,
        },
        shard=shard,
        cutters=QueuedCutters(extraction, settings, takes=shard.takes)
        if queue
        else LocalCutters(extraction, settings, jobs=jobs or len(os.sched_getaffinity(0))),
    )
    try:
        show(making)
    except KeyboardInterrupt:
        if queue:
            click.echo("Let go. What was asked for is cut; the same command collects it.", err=True)
        raise
    _end(making, out)


def _tell(layout: str, items: Sequence[Item]) -> None:
    """What there is, a line a collection."""
    collections: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        collections.setdefault((item.collection, item.compression or ""), []).append(item)
    for (collection, compression), its in sorted(collections.items()):
        stills = sum(item.still for item in its)
        kinds = Counter(videos=len(its) - stills, pictures=stills)
        counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
        people = {identity for item in its for identity in item.identities}
        label = "fake" if its[0].manipulated else "real"
        click.echo(
            f"{collection:<20} {compression:<4} {label}  {counts}, {len(people):,} people known"
        )
    click.echo(f"{layout}: {len(items):,} files; nothing was made", err=True)


def _end(making: Making, out: Path) -> None:
    """What came of it."""
    from fimq.intake import shown

    summary = making.merge()
    if summary is None:
        click.echo(
            f"{out}: shard {making.shard} is done, {making.left():,} files are left to others"
        )
        return
    for bad in summary["bad"][:_BAD_SHOWN]:
        click.echo(f"bad: {shown(bad['file'])}  {bad['message']} [{bad['code']}]", err=True)
    if len(summary["bad"]) > _BAD_SHOWN:
        click.echo(f"bad: all {len(summary['bad']):,} are in {out / 'dataset.json'}", err=True)
    if not summary["crops"]:
        raise ClassEmpty(f"No face in any of {summary['files']:,} files; see {out}/dataset.json")
    for collection, count in summary["collections"].items():
        if not count["crops"]:
            click.echo(f"warning: no face in any file of {collection}", err=True)
    click.echo(
        f"{out}: {summary['crops']:,} crops of {summary['files']:,} files, "
        f"{len(summary['bad']):,} bad, {len(summary['without_face']):,} without a face; "
        f"fingerprint {summary['fingerprint'][:12]}"
    )
    click.echo(f"Next: fimq train split {out}", err=True)
