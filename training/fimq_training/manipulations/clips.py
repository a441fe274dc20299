"""Clips: video of held-out people, each clip real and forged under one plan of degradations.

The figures that matter are about clips of people never trained on. A clip is forged with one
draw: kind, region, alteration and degradation are the same in every frame, and frames differ
by their content alone, as in a forged video.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fimq_training.arrays import read_arrays, write_arrays
from fimq_training.manipulations import degradations
from fimq_training.manipulations.degradations import Degradation
from fimq_training.manipulations.forgeries import KINDS
from fimq_training.manipulations.landmarks import Pixels
from fimq_training.manipulations.pairs import (
    LEAST_CHANGE,
    ROOM,
    Drawing,
    PairMaker,
    central_box,
    placed,
    wider,
)
from fimq_training.manipulations.rendering import RENDER
from fimq_training.manipulations.samples import SERVED, Sample, SampleSet
from fimq_worker.vision.crops import CropRule, crop_face
from fimq_worker.vision.picture import Picture

FRAMES = 8  #: of a forged clip
LEAST_FRAMES = 4  #: with a face, for a clip to count at all
ATTEMPTS = 4  #: at a forgery that changes enough


@dataclass(frozen=True, slots=True)
class Clip:
    """The crops of one face through a clip, [frames, size, size, 3]."""

    crops: NDArray[np.uint8]
    person: str
    source: str
    name: str  #: `real`, `degraded`, or the kind and region of a forgery


@dataclass(frozen=True, slots=True)
class ClipPair:
    """A degraded clip and its forged double."""

    real: Clip
    fake: Clip


class ClipMaker:
    """Makes clips from the samples of held-out people."""

    def __init__(
        self,
        samples: SampleSet,
        seed: int,
        served: CropRule = SERVED,
        painters: Sequence[Path] = (),
    ) -> None:
        """With `painters` a fourth kind of clip is rendered by them."""
        drawing = Drawing(painters=tuple(painters))
        self._pairs, self._served = PairMaker(samples, seed, drawing), served
        self._kinds = (*KINDS, RENDER) if painters else KINDS
        self._rng = self._pairs.rng
        self._numbers: dict[str, list[int]] = {}
        for number, sample in enumerate(samples.samples):
            self._numbers.setdefault(sample.source, []).append(number)
        self._samples = samples

    def pairs(self, draws: int) -> Iterator[ClipPair]:
        """`draws` pairs of each clip, fewer where forgeries come out too faint."""
        for numbers in self._numbers.values():
            if len(numbers) >= LEAST_FRAMES:
                for _ in range(draws):
                    pair = self._pair(numbers)
                    if pair is not None:
                        yield pair

    def _pair(self, numbers: Sequence[int]) -> ClipPair | None:
        spread = np.linspace(0, len(numbers) - 1, min(FRAMES, len(numbers))).astype(int)
        chosen = [numbers[i] for i in spread]
        frames = [self._samples[number] for number in chosen]
        for _ in range(ATTEMPTS):
            kind = self._kinds[int(self._rng.integers(len(self._kinds)))]
            partner = self._pairs.partner(chosen[0], kind)
            if partner is not None:
                pair = self._forged(frames, kind, partner)
                if pair is not None:
                    return pair
        return None

    def _forged(self, frames: Sequence[Sample], kind: str, partner: Sample) -> ClipPair | None:
        rng = self._rng
        largest = 1.2 * float(np.median([sample.box.longer_side for sample in frames]))
        width = float(np.clip(np.exp(rng.uniform(np.log(90), np.log(300))), 70, largest))
        plan, seed = degradations.platform(width, rng), int(rng.integers(1 << 30))
        room = wider(self._served) * ROOM
        forged = [
            self._pairs.forge(
                placed(sample, width, room), kind, partner, np.random.default_rng(seed)
            )
            for sample in frames
        ]
        if np.mean([forgery.change for forgery in forged]) < LEAST_CHANGE:
            return None
        real = np.stack([self._crop(plan, forgery.real, width) for forgery in forged])
        fake = np.stack([self._crop(plan, forgery.fake, width) for forgery in forged])
        person, source = frames[0].person, frames[0].source
        return ClipPair(
            Clip(real, person, source, "degraded"), Clip(fake, person, source, forged[0].name)
        )

    def _crop(self, plan: Degradation, picture: Pixels, width: float) -> Pixels:
        shown = plan.apply(picture)
        return crop_face(Picture.from_rgb(shown), central_box(shown, width), self._served)


def real_clips(samples: SampleSet) -> list[Clip]:
    """The clips as they are, with the crops that serving would cut."""
    return [
        Clip(np.stack([s.served for s in frames]), frames[0].person, source, "real")
        for source, frames in samples.by_source().items()
        if len(frames) >= LEAST_FRAMES
    ]


def save_clips(clips: Sequence[Clip], path: Path) -> None:
    """Write clips to one file."""
    write_arrays(
        path,
        {
            "crops": np.concatenate([clip.crops for clip in clips]),
            "lengths": np.array([len(clip.crops) for clip in clips]),
            "people": np.array([clip.person for clip in clips]),
            "sources": np.array([clip.source for clip in clips]),
            "names": np.array([clip.name for clip in clips]),
        },
    )


def load_clips(path: Path) -> list[Clip]:
    """Read clips that `save_clips` wrote."""
    stored = read_arrays(path)
    crops = np.split(stored["crops"], np.cumsum(stored["lengths"])[:-1])
    facts = zip(stored["people"], stored["sources"], stored["names"], strict=True)
    return [
        Clip(crop, str(person), str(source), str(name))
        for crop, (person, source, name) in zip(crops, facts, strict=True)
    ]
