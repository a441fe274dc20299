"""Searching samples in turn: everywhere now and then, near known faces in between.

A search everywhere costs about twice a search by hints. It is made at the first sample,
after a cut, at every fourth sample, and whenever the sample before had no face. A small
face that newly enters a running shot is therefore found at most three samples late.
"""

from __future__ import annotations

from typing import Final

from fimq_worker.vision.box import Box
from fimq_worker.vision.faces.base import FaceFinder, FoundFace
from fimq_worker.vision.picture import Picture

EVERY: Final = 4


class FaceSearch:
    """The faces of consecutive samples of one film. Make one for each segment."""

    def __init__(self, finder: FaceFinder, every: int = EVERY) -> None:
        """Search with `finder`, everywhere at every `every`-th sample at least."""
        self._finder = finder
        self._every = every
        self._since = 0
        self._known: list[Box] = []

    def next(self, picture: Picture, *, cut: bool = False) -> list[FoundFace]:
        """Return the faces of the next sample; `cut` says that its shot is another one."""
        everywhere = cut or not self._known or self._since + 1 >= self._every
        faces = self._finder.find(picture, () if everywhere else self._known)
        self._since = 0 if everywhere else self._since + 1
        self._known = [face.box for face in faces]
        return faces
