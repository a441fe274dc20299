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
from fimq_worker.vision.sampler.base import Sampling, Span
from fimq_worker.vision.sampler.index import Index, read_index
from fimq_worker.vision.sampler.plan import presentation_order, syncs_of
from fimq_worker.vision.sampler.sparse import choose_targets


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """How long a film is by its packets, and the parts to sample it in."""

    frames: int  #: pictures that its packets hold
    expected_frames: int  #: pictures that its header promises; more where the file is cut
    running_s: float  #: by its packets
    sampling: Sampling  #: fitted to its length
    samples: int  #: pictures wanted of all that the header promises
    spans: tuple[Span, ...]
    fallback_reason: str | None  #: why it cannot be cut, nor sampled without decoding all


def plan_film(
    container: Container, sampling: Sampling, *, segment_s: float = 60, min_samples: int = 1
) -> FilmPlan:
    """Read the film's packets, and cut it into spans of about `segment_s` seconds.

    Raises:
        TooLong: it runs longer than the container's limits allow.
    """
    container.rewind()
    index = read_index(container, container.packets(), keep_references=False)
    running_s = container.counters.running_s
    whole = Span.of_whole(
        frames=index.packets, packets=container.counters.packets, running_s=running_s
    )
    order: list[int] | None = None
    reason = None
    try:
        order = presentation_order(index)
    except NoShortcut as found:
        reason = str(found)
    spans: tuple[Span, ...] = (whole,)
    if order is not None:
        whole = replace(whole, frames=len(order))
        spans = cut(index, order, segment_s=segment_s, tick_s=float(container.time_base or 1))
    fitted = sampling.for_length(whole.frames, min_samples=min_samples)
    wanted = _count(index, order, fitted, container)
    expected = whole.frames + container.missing_frames()
    return FilmPlan(
        frames=whole.frames,
        expected_frames=expected,
        running_s=running_s,
        sampling=fitted,
        samples=-(-wanted * expected // max(1, whole.frames))
        if expected > whole.frames
        else wanted,
        spans=spans if len(spans) > 1 else (whole,),
        fallback_reason=reason,
    )


def _count(index: Index, order: list[int] | None, sampling: Sampling, container: Container) -> int:
    """How many pictures will be wanted; an estimate where the order is not known."""
    if order is not None:
        return len(choose_targets(index, order, sampling, container, None))
    match sampling.mode:
        case "every":
            return -(-index.packets // sampling.stride)
        case "fps":
            return max(1, min(index.packets, int(container.counters.running_s * sampling.n)))
        case "keyframes":
            return index.key_packets


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
