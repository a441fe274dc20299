"""Tracks: which faces of consecutive samples are one person's.

Greedy: of all pairs of a track and a face the most alike are joined first, by overlap and
by distance of centres in face widths. A track may miss two samples, as detectors do; a
cut ends every track. Nothing depends on the order of faces within a sample, nor on the
picture's size. Samples are typically a second apart, so a face may have moved by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from fimq_worker.vision.box import Box

#: Samples that a face may be missing before its track ends.
PATIENCE: Final = 2
#: Centres of one person's faces are closer than this, in mean face sides.
_REACH: Final = 1.0
#: One person's face grows or shrinks by less than this factor.
_GROWTH: Final = 2.0


@dataclass(frozen=True, slots=True)
class SampleFaces:
    """The faces of one sample."""

    boxes: tuple[Box, ...]
    cut: bool = False  #: the shot changed between the sample before and this one


@dataclass(frozen=True, slots=True)
class _Track:
    ordinal: int
    box: Box  #: where it was seen last
    missed: int = 0  #: samples since then


def assign_tracks(samples: Sequence[SampleFaces]) -> list[list[int]]:
    """Return for each sample the track ordinals of its faces, in the order of its boxes.

    Ordinals count from 0 by first appearance; of faces that appear together the one
    further left is first.
    """
    alive: list[_Track] = []
    started = 0
    ordinals: list[list[int]] = []
    for sample in samples:
        joined = _join([] if sample.cut else alive, sample.boxes)
        strangers = [face for face in range(len(sample.boxes)) if face not in joined]
        for face in sorted(strangers, key=lambda face: _corners(sample.boxes[face])):
            joined[face] = started
            started += 1
        seen = [_Track(joined[face], box) for face, box in enumerate(sample.boxes)]
        alive = seen if sample.cut else seen + _waiting(alive, set(joined.values()))
        ordinals.append([track.ordinal for track in seen])
    return ordinals


def _join(tracks: Sequence[_Track], boxes: Sequence[Box]) -> dict[int, int]:
    """Pair faces with tracks, the most alike first: index of a box to ordinal of a track."""
    pairs = sorted(
        (-alike, _corners(box), track.ordinal, face)
        for track in tracks
        for face, box in enumerate(boxes)
        if (alike := _likeness(track.box, box)) > 0
    )
    joined: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, ordinal, face in pairs:
        if face not in joined and ordinal not in taken:
            joined[face] = ordinal
            taken.add(ordinal)
    return joined


def _waiting(tracks: Sequence[_Track], found: set[int]) -> list[_Track]:
    """The tracks that were not found this time and may still come back."""
    return [
        replace(track, missed=track.missed + 1)
        for track in tracks
        if track.ordinal not in found and track.missed < PATIENCE
    ]


def _likeness(before: Box, after: Box) -> float:
    """0 for boxes that cannot be one person's, up to 2 for one and the same box."""
    small, large = sorted((before.longer_side, after.longer_side))
    if small <= 0 or large > _GROWTH * small:
        return 0.0
    (x, y), (other_x, other_y) = before.centre, after.centre
    distance = math.hypot(other_x - x, other_y - y) / ((small + large) / 2)
    return 0.0 if distance >= _REACH else before.iou(after) + 1 - distance / _REACH


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.width, box.height
