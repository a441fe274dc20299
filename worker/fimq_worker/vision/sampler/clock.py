"""The clock: when each picture is shown, and whether it is one of those wanted."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from fimq_worker.vision.sampler.base import Sampling


@dataclass(frozen=True, slots=True)
class Tick:
    """What the clock says of one picture."""

    time_s: float
    estimated: bool
    wanted: bool


class Clock:
    """Goes from picture to picture in presentation order.

    A time that is missing, or that does not come after the one before, is replaced by one
    from the average rate and marked.
    """

    def __init__(
        self,
        sampling: Sampling,
        time_base: Fraction | None,
        average_fps: Fraction,
        *,
        origin_pts: int | None = None,
        previous_pts: int | None = None,
    ) -> None:
        """Start at the first picture, or after `previous_pts` in a film begun at `origin_pts`."""
        self._sampling = sampling
        self._tick_s = float(time_base) if time_base else None
        self._frame_s = float(1 / average_fps)
        self._origin = origin_pts
        self._pts = previous_pts
        self._time_s: float | None = None
        if previous_pts is not None and self._tick_s is not None and origin_pts is not None:
            self._time_s = (previous_pts - origin_pts) * self._tick_s

    def tick(self, index: int, pts: int | None, *, key: bool) -> Tick:
        """The time of the next picture."""
        before = self._time_s
        estimated = (
            pts is None or self._tick_s is None or (self._pts is not None and pts <= self._pts)
        )
        if pts is None or self._tick_s is None or estimated:
            time_s = 0.0 if before is None else before + self._frame_s
        else:
            if self._origin is None:
                self._origin = (
                    pts if before is None else pts - round((before + self._frame_s) / self._tick_s)
                )
            time_s = (pts - self._origin) * self._tick_s
            self._pts = pts
        if before is not None and time_s < before:
            time_s, estimated = before + self._frame_s, True
        self._time_s = time_s
        return Tick(time_s, estimated, self._is_wanted(index, before, time_s, key=key))

    def _is_wanted(self, index: int, before: float | None, time_s: float, *, key: bool) -> bool:
        match self._sampling.mode:
            case "every":
                return index % self._sampling.stride == 0
            case "fps":
                return before is None or self._slot(time_s) > self._slot(before)
            case "keyframes":
                return key

    def _slot(self, time_s: float) -> int:
        # A picture that lies on a slot's edge belongs to it whatever floats make of it.
        return int(time_s * self._sampling.n + 1e-6)
