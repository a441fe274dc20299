"""Originals: the real crop beside each fake one, as far as the table tells.

A fake names its target: the video that it was put on or, of `fimq train forge`, the person. Its
original is the real crop of that target, at the same compression, that is nearest in time and
then in place; none that is further away than two samples mostly are.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from fimq_training.crops.table import Crop, CropTable

FURTHEST = 25  #: frames; the same frame is there unless its face was not found
_Key = tuple[str, str | None, str]  #: data set, compression, name of a video or person


class Originals:
    """Finds originals in one table."""

    def __init__(self, table: CropTable) -> None:
        """Index the real crops."""
        self._real: dict[_Key, list[Crop]] = {}
        for crop in table.crops:
            if not crop.manipulated:
                for name in _names(crop):
                    self._real.setdefault((crop.dataset, crop.compression, name), []).append(crop)

    def of(self, fake: Crop) -> Crop | None:
        """The original of a fake crop; None where the table has no crop of its target."""
        if fake.target is None:
            return None
        real = self._real.get((fake.dataset, fake.compression, fake.target), [])
        near = [crop for crop in real if abs(crop.frame - fake.frame) <= FURTHEST]
        return min(near, key=lambda crop: _distance(crop, fake), default=None)


def _names(crop: Crop) -> set[str]:
    """What a fake may call the target of which this is a crop."""
    path = PurePosixPath(crop.video)
    return {crop.video, path.name, path.stem, *crop.identities}


def _distance(crop: Crop, fake: Crop) -> tuple[int, float, str]:
    """In frames, then in pixels of its box's corner; the key makes it one order."""
    return (
        abs(crop.frame - fake.frame),
        abs(crop.x - fake.x) + abs(crop.y - fake.y),
        crop.key,
    )
