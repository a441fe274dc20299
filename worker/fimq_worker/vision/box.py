"""Boxes: rectangles in displayed coordinates, in pixels, with the origin at the top left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle from (x, y), `width` to the right and `height` down. May leave its picture."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle, as (x, y)."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def area(self) -> float:
        """Width times height; 0 for a box without extent."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    @property
    def longer_side(self) -> float:
        """The larger of width and height."""
        return max(self.width, self.height)

    def overlap(self, other: Box) -> float:
        """The area that both boxes cover."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(across, 0.0) * max(down, 0.0)

    def iou(self, other: Box) -> float:
        """Intersection over union, in [0, 1]."""
        both = self.overlap(other)
        union = self.area + other.area - both
        # Edges far from zero round a tiny box to more than its own area.
        return min(1.0, both / union) if union > 0 else 0.0

    def scaled(self, factor: float) -> Box:
        """The box about the same centre with its sides times `factor`."""
        width, height = self.width * factor, self.height * factor
        centre_x, centre_y = self.centre
        return Box(centre_x - width / 2, centre_y - height / 2, width, height)
