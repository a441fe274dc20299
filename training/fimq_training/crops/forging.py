"""Forging: a table of crops whose fakes are our own, for recipes that tell classes apart.

Where no data set of fakes is at hand, real faces that may be used give both sides: the real
crop of a pair counts as the collection that it came from, the fake one as its kind of
manipulation. Real and fake went through the same degradations, so that a class is not told by
its codec. Made in shards with seeds of their own; those that are there are not made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fimq.errors import CropsDiffer
from fimq_training.begun import begin
from fimq_training.crops.table import Crop, CropTable
from fimq_training.disk import room_for
from fimq_training.manipulations.landmarks import Pixels
from fimq_training.manipulations.pairs import Pair, PairMaker
from fimq_training.manipulations.samples import SERVED, Sample, SampleSet

DATASET = "forged"
SHARD = 64  #: pairs
CIRCLES = 20  #: of people
#: Names of collections: of manipulations by their kind, of sources by their folder.
KINDS = {"self": "SelfBlend", "swap": "Swap", "reenact": "Reenactment"}


@dataclass(frozen=True, slots=True)
class Forging:
    """Crops of real and forged faces in a folder."""

    out: Path
    seed: int = 1
    data: str = ""  #: names the pictures that the samples are of

    def run(self, samples: SampleSet, pairs: int) -> Iterator[int]:
        """Make `pairs` pairs and the table of all of them; yields how many are there.

        Raises:
            CropsDiffer: the folder holds pairs of other options.
            DiskFull: there was no room; the shards that are whole are kept.
        """
        self.agree(pairs)
        circles = _circles(samples)
        for first in range(0, pairs, SHARD):
            part = self.out / "parts" / f"{first:06d}"
            if not (part / "crops.parquet").exists():
                circle = circles[first // SHARD % len(circles)]
                maker = PairMaker(circle, (self.seed, first))
                rows: list[Crop] = []
                for number in range(first, min(first + SHARD, pairs)):
                    rows += self._crops(maker.pair(), number)
                CropTable(rows).write(part)
            yield min(first + SHARD, pairs)
        parts = [
            CropTable.read(self.out / "parts" / f"{first:06d}").crops
            for first in range(0, pairs, SHARD)
        ]
        CropTable(crop for part in parts for crop in part).write(self.out)

    def agree(self, pairs: int) -> None:
        """Be the first in this folder, or be as the first was.

        Raises:
            CropsDiffer: it holds pairs of other options.
            DiskFull: there was no room.
        """
        options = {"pairs": pairs, "seed": self.seed, "data": self.data}
        if other := begin(self.out / "forged.json", options):
            raise CropsDiffer(f"{self.out} was made with {other.name} {other.was}, not {other.now}")

    def _crops(self, pair: Pair, number: int) -> Iterator[Crop]:
        kind, _, _ = pair.name.partition("_")
        yield self._crop(pair, number, pair.real, collection=_source(pair.source), method=None)
        yield self._crop(pair, number, pair.fake, collection=KINDS[kind], method=KINDS[kind])

    def _crop(
        self, pair: Pair, number: int, pixels: Pixels, *, collection: str, method: str | None
    ) -> Crop:
        side = "real" if method is None else "fake"
        file = f"faces/{number // 1000:03d}/{number:06d}-{side}.png"
        path = self.out / file
        code = bytes(cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))[1])
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(code)
        people = {pair.person} if method is None else {pair.person, pair.partner}
        return Crop(
            dataset=DATASET,
            collection=collection,
            video=f"{pair.source}#{number}-{side}",
            frame=number,  # so that each fake finds the original of its own pair
            ordinal=0,
            pts=None,
            time_s=None,
            x=0.0,
            y=0.0,
            width=SERVED.size / SERVED.scale,
            height=SERVED.size / SERVED.scale,
            detector_score=1.0,
            manipulated=method is not None,
            method=method,
            source=None if method is None else pair.partner,
            target=pair.person,
            identities=tuple(sorted(people)),
            codec="png",
            compression=None,
            size=SERVED.size,
            file=file,
            sha256=hashlib.sha256(code).hexdigest(),
        )


def _circles(samples: SampleSet) -> list[SampleSet]:
    """The samples by circles of people, which a hash decides.

    A forgery takes both of its people from one circle: were anybody swapped with anybody, all
    would hang together, and no split could keep people apart.
    """
    circles: list[list[Sample]] = [[] for _ in range(CIRCLES)]
    for sample in samples.samples:
        digest = hashlib.sha256(sample.person.encode()).digest()
        circles[digest[0] % CIRCLES].append(sample)
    return [SampleSet(circle) for circle in circles if len({s.person for s in circle}) > 1]


def _source(path: str) -> str:
    """The name of a source from the folder of its file: `portraits/us_congress` -> `UsCongress`."""
    folder = path.rsplit("/", 1)[0].rsplit("/", 1)[-1]
    return "".join(word.capitalize() for word in folder.split("_"))
