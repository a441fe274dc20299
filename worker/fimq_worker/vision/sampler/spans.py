"""Spans: a long film cut into parts that workers can sample apart from each other.

Cuts lie at sync pictures. A span is what is shown from its sync picture up to the next
cut's; the next sync picture and its leading pictures are read too, as the last pictures of
the span may come behind it in the file.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import pairwise

from fimq_worker.vision.bitstream.bits import NoShortcut
from fimq_worker.vision.container import LONGEST_GAP_S, Container
from fimq_worker.vision.sampler.base import Span
from fimq_worker.vision.sampler.index import Index, read_index
from fimq_worker.vision.sampler.plan import presentation_order, syncs_of


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """How long a film is by its packets, and the parts to sample it in."""

    frames: int  #: pictures that its packets hold
    expected_frames: int  #: pictures that its header promises; more where the file is cut
    running_s: float  #: by its packets
    spans: tuple[Span, ...]
    fallback_reason: str | None  #: why it cannot be cut, nor sampled without decoding all


def plan_film(container: Container, *, segment_s: float = 60) -> FilmPlan:
    """Read the film's packets and cut it into spans of about `segment_s` seconds.

    Raises:
        TooLong: it runs longer than the container's limits allow.
    """
    container.rewind()
    index = read_index(container, container.packets(), keep_references=False)
    running_s = container.counters.running_s
    expected = max(index.packets, container.promised_frames(index.packets, running_s))
    whole = Span.of_whole(
        frames=index.packets, packets=container.counters.packets, running_s=running_s
    )
    try:
        order = presentation_order(index)
    except NoShortcut as reason:
        return FilmPlan(index.packets, expected, running_s, (whole,), str(reason))
    spans = cut(index, order, segment_s=segment_s, tick_s=float(container.time_base or 1))
    if len(spans) == 1:
        spans = (replace(whole, frames=len(order)),)
    return FilmPlan(len(order), max(expected, len(order)), running_s, spans, None)


def cut(index: Index, order: list[int], *, segment_s: float, tick_s: float) -> tuple[Span, ...]:
    """Cut at the first sync picture after each `segment_s` seconds."""
    shown_pts = [index.pts[ordinal] for ordinal in order]
    cuts = [0]
    syncs = syncs_of(index)
    for sync in syncs[1:]:
        long_enough = (index.pts[sync] - index.pts[cuts[-1]]) * tick_s >= segment_s
        if long_enough and not index.discard[sync]:
            cuts.append(sync)
    ranks = [0, *(bisect_left(shown_pts, index.pts[sync]) for sync in cuts[1:]), len(order)]
    spans = []
    for (first, following), sync in zip(pairwise(ranks), cuts, strict=True):
        last = max(order[first:following], default=sync)
        spans.append(
            Span(
                first_frame=first,
                frames=following - first,
                running_s=_running(shown_pts[first : following + 1], tick_s),
                ordinal=sync,
                packets=last - sync + 1,
                start_pts=index.pts[sync],
                start_bytes=index.bytes[sync],
                origin_pts=shown_pts[0] if shown_pts else index.pts[0],
                previous_pts=shown_pts[first - 1] if first else None,
            )
        )
    return tuple(spans)


def _running(shown_pts: list[int], tick_s: float) -> float:
    """Seconds from the first to the last; a jump of the clock counts in part."""
    gaps = ((later - earlier) * tick_s for earlier, later in pairwise(shown_pts))
    return sum(min(gap, LONGEST_GAP_S) for gap in gaps)
