"""Pairs: a real crop and the same crop forged, under one draw of degradations.

A pair is thrown away when the forgery changes next to nothing, or when the degradations
drowned it: what cannot be seen would only teach noise. Pairs are made ahead of the fit, in
shards that appear in a folder whole or not at all, so that the fit can start on the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fimq_training.arrays import write_arrays
from fimq_training.manipulations import degradations, forgeries
from fimq_training.manipulations.forgeries import Face, Forgery
from fimq_training.manipulations.landmarks import FIT, Pixels, carry
from fimq_training.manipulations.masks import Mask
from fimq_training.manipulations.painting import Painter
from fimq_training.manipulations.rendering import RENDER, render
from fimq_training.manipulations.samples import SERVED, Sample, SampleSet
from fimq_worker.vision.box import Box
from fimq_worker.vision.crops import CropRule, crop_face
from fimq_worker.vision.picture import Picture

MASK_CELL = 8  #: pixels of a crop in one of a stored mask
#: Of crops that are served at the house's scale; those of another one in proportion.
SCALES = (1.20, 1.42)  #: of fitted crops: boxes are never exact
ROOM = 1.72  #: side of the canvas over the width of the face
LEAST_CHANGE = 2.0  #: grey levels inside the mask, before the degradations
LEAST_SEEN = 1.6  #: grey levels inside the mask, in the crops
LEAST_SHARE = 60 / 128**2  #: of a crop that is forged


@dataclass(frozen=True, slots=True)
class Pair:
    """Two crops that differ by a forgery."""

    real: Pixels
    fake: Pixels
    mask: NDArray[np.uint8]  #: where, an eighth of the crop's side, 255 where it is whole
    name: str  #: kind and region
    person: str
    source: str  #: file of the sample, as `Sample.source`
    partner: str  #: whose face or expression was put in; the person's own in a self-blend


@dataclass(frozen=True, slots=True)
class Drawing:
    """How pairs are drawn."""

    kinds: tuple[float, float, float] = (0.55, 0.25, 0.20)  #: self-blend, swap, reenactment
    painters: tuple[Path, ...] = ()  #: files of what renders
    rendered: float = 0.0  #: share of pairs that are rendered, where there are painters
    camera: float = 0.5  #: share of pictures that went through a camera plan first
    face_width: tuple[float, float] = (90, 320)  #: pixels, drawn evenly in its logarithm
    crop: CropRule = SERVED  #: how serving will cut


class PairMaker:
    """Draws pairs from a set of samples. The seed decides every one of them."""

    def __init__(
        self, samples: SampleSet, seed: int | Sequence[int], drawing: Drawing | None = None
    ) -> None:
        self.rng: Generator = np.random.default_rng(seed)
        self._samples, self._drawing = samples, drawing or Drawing()
        self._shapes = _shapes(samples)
        self._painters = [Painter(file) for file in self._drawing.painters]
        numbers: dict[str, list[int]] = {}
        for number, sample in enumerate(samples.samples):
            numbers.setdefault(sample.person, []).append(number)
        self._of_person = [numbers[person] for person in samples.people]

    def draw(self) -> int:
        """Draw a person, everyone as often, and then one of that person's samples."""
        mine = self._of_person[int(self.rng.integers(len(self._of_person)))]
        return mine[int(self.rng.integers(len(mine)))]

    def partner(self, number: int, kind: str) -> Sample | None:
        """A sample of someone else for a forgery of this kind; None when none was drawn.

        The most similar pose of some drawn ones: of many for a swap, which shows all of it.
        """
        among = 12 if kind == "swap" else 3
        person = self._samples[number].person
        drawn = [self.draw() for _ in range(among)]
        others = [n for n in drawn if self._samples[n].person != person]
        if not others:
            return None
        distance = ((self._shapes[others] - self._shapes[number]) ** 2).sum(1)
        return self._samples[others[int(np.argmin(distance))]]

    def pair(self) -> Pair:
        """Draw until a pair comes out that shows its forgery."""
        while True:
            pair = self._try()
            if pair is not None:
                return pair

    def _try(self) -> Pair | None:
        rng, number = self.rng, self.draw()
        sample = self._samples[number]
        face = self._canvas(sample)
        if rng.random() < self._drawing.camera:
            shot = degradations.camera(face.width, rng).apply(face.pixels)
            face = Face(shot, face.points, face.width)
        kind = self._kind()
        partner = self.partner(number, kind)
        if partner is None:
            return None
        forgery = self.forge(face, kind, partner, rng)
        if forgery.change < LEAST_CHANGE:
            return None
        real, fake, mask = forgery.real, forgery.fake, forgery.mask
        width = face.width
        if rng.random() < 0.25:  # resized after the forgery
            side = even(real.shape[0] * rng.uniform(0.55, 1.15))
            width *= side / real.shape[0]
            real, fake = (_resized(picture, side) for picture in (real, fake))
            mask = np.asarray(cv2.resize(mask, (side, side)), np.float32)
        plan = degradations.platform(width, rng)
        real, fake = plan.apply(real), plan.apply(fake)
        box = central_box(real, width, rng.normal(0, 0.03 * width, 2))
        served = self._drawing.crop
        rule = CropRule(scale=wider(served) * float(rng.uniform(*SCALES)), size=served.size)
        pair = Pair(
            real=crop_face(Picture.from_rgb(real), box, rule),
            fake=crop_face(Picture.from_rgb(fake), box, rule),
            mask=_crop_mask(mask, box, CropRule(rule.scale, rule.size // MASK_CELL)),
            name=forgery.name,
            person=sample.person,
            source=sample.source,
            partner=sample.person if kind == "self" else partner.person,
        )
        return pair if _is_seen(pair) else None

    def forge(self, face: Face, kind: str, partner: Sample, rng: Generator) -> Forgery:
        """Forge a face in one of the kinds; one of the painters renders."""
        if kind != RENDER:
            return forge(face, kind, partner, rng)
        painter = self._painters[int(rng.integers(len(self._painters)))]
        return render(face, _face(partner), painter, rng)

    def _kind(self) -> str:
        drawn, rng = self._drawing, self.rng
        if self._painters and rng.random() < drawn.rendered:
            return RENDER
        return forgeries.KINDS[int(rng.choice(len(forgeries.KINDS), p=drawn.kinds))]

    def _canvas(self, sample: Sample) -> Face:
        """The sample turned, squeezed and scaled, its face in the middle of a square."""
        rng, longer = self.rng, sample.box.longer_side
        drawn = float(np.exp(rng.uniform(*np.log(self._drawing.face_width))))
        width = float(np.clip(drawn, 70, 1.35 * longer))
        squeeze = float(np.exp(rng.normal(0, 0.03)))
        room = wider(self._drawing.crop) * ROOM
        return placed(sample, width, room, degrees=float(rng.normal(0, 5)), squeeze=squeeze)


def forge(face: Face, kind: str, partner: Sample, rng: Generator) -> Forgery:
    """Forge a face in one of the KINDS, with a sample of someone else where it takes two."""
    if kind == "self":
        return forgeries.self_blend(face, rng)
    if kind == "swap":
        return forgeries.swap(face, _face(partner), rng)
    return forgeries.reenact(face, partner.points, rng)


def placed(
    sample: Sample, width: float, room: float, *, degrees: float = 0.0, squeeze: float = 1.0
) -> Face:
    """The face of a sample `width` pixels wide, in the middle of a square `room` times as wide."""
    pixels, points, centre = sample.pixels, sample.points, np.array(sample.box.centre)
    scale = width / sample.box.longer_side
    if scale < 0.7:  # a warp alone would skip pixels
        size = (max(2, round(pixels.shape[1] * scale)), max(2, round(pixels.shape[0] * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        points, centre, scale = points * np.float32(scale), centre * scale, 1.0
    side = even(width * room)
    turn = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), degrees, scale)
    turn = np.diag([squeeze, 1 / squeeze]) @ turn
    turn[:, 2] += side / 2 - turn @ [centre[0], centre[1], 1]
    warped = cv2.warpAffine(
        pixels,
        turn,
        (side, side),
        flags=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return Face(np.asarray(warped, np.uint8), carry(points, turn), width)


def wider(crop: CropRule) -> float:
    """How much more than at the house's scale a crop shows."""
    return crop.scale / SERVED.scale


def central_box(picture: Pixels, width: float, shift: NDArray[np.float64] | None = None) -> Box:
    """The box of a face in the middle of its canvas."""
    x, y = (0.0, 0.0) if shift is None else (float(shift[0]), float(shift[1]))
    left, top = (picture.shape[1] - width) / 2 + x, (picture.shape[0] - width) / 2 + y
    return Box(left, top, width, width)


def write_shard(
    samples: SampleSet,
    folder: Path,
    *,
    seed: int,
    first: int,
    count: int,
    drawing: Drawing | None = None,
) -> None:
    """Write pairs first to first + count of a pool, whole or not at all.

    Each shard has a seed of its own, so that shards can be made in any order, by anybody.
    """
    path = folder / f"{first:06d}.npz"
    if path.exists():
        return
    maker = PairMaker(samples, (seed, first), drawing)
    drawn = [maker.pair() for _ in range(count)]
    parts = ("real", "fake", "mask", "name", "person")
    write_arrays(path, {name: np.array([getattr(p, name) for p in drawn]) for name in parts})


def even(length: float) -> int:
    """The next even length below: chroma of the codecs has half the pixels."""
    return int(length) // 2 * 2


def _face(sample: Sample) -> Face:
    return Face(sample.pixels, sample.points, sample.box.longer_side)


def _resized(picture: Pixels, side: int) -> Pixels:
    way = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (side, side), interpolation=way), np.uint8)


def _crop_mask(mask: Mask, box: Box, rule: CropRule) -> NDArray[np.uint8]:
    grey = (mask * 255).astype(np.uint8)
    picture = Picture.from_rgb(np.repeat(grey[..., None], 3, axis=2))
    return crop_face(picture, box, rule)[..., 0]


def _is_seen(pair: Pair) -> bool:
    side = pair.real.shape[0]
    inside = np.asarray(cv2.resize(pair.mask, (side, side))) > 25
    if inside.mean() < LEAST_SHARE:
        return False
    return bool(np.abs(pair.fake[inside].astype(np.int16) - pair.real[inside]).mean() >= LEAST_SEEN)


def _shapes(samples: SampleSet) -> NDArray[np.float32]:
    """Landmarks without position and size, one row a sample: near rows are similar poses."""
    points = np.stack([sample.points[list(FIT)] for sample in samples.samples])
    points = points - points.mean(1, keepdims=True)
    shapes: NDArray[np.float32] = points / np.linalg.norm(points, axis=(1, 2), keepdims=True)
    return shapes.reshape(len(samples), -1)
