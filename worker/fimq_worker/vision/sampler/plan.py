"""The plan: which packets must be decoded so that the wanted pictures come out right.

Pure functions of an index. Packets are named by their ordinal in decode order, pictures
by their rank in presentation order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from fimq_worker.vision.bitstream.bits import NoShortcut, PictureFacts, Sync
from fimq_worker.vision.sampler.index import Index

#: From where to where a packet is kept.
Cut = tuple[int, int]


@dataclass(slots=True)
class Plan:
    """What to feed to the decoder."""

    needed: bytearray  #: 1 for each packet that is decoded, by ordinal
    restarts: frozenset[int] = frozenset()  #: where the decoder must forget what it holds
    cuts: dict[int, tuple[Cut, ...]] = field(default_factory=dict)  #: packets fed in part

    @property
    def share(self) -> float:
        """Packets decoded, of all."""
        return sum(self.needed) / max(1, len(self.needed))


def presentation_order(index: Index, *, is_start: bool = True) -> list[int]:
    """Ordinals of the packets whose pictures are shown, as they are shown.

    Args:
        index: of a film, or of a part that begins with a sync picture.
        is_start: the film begins here; in a part, what is shown before the first sync
            picture belongs to the part before.

    Raises:
        NoShortcut: the order cannot be trusted.
    """
    if index.fallback_reason is not None:
        raise NoShortcut(index.fallback_reason)
    if not len(index):
        raise NoShortcut("no packets")
    pts = index.pts
    if len(set(pts)) != len(pts):
        raise NoShortcut("presentation times that repeat")
    _check_syncs(index)
    shown = [
        ordinal
        for ordinal in range(len(index))
        if not index.discard[ordinal]
        and not (pts[ordinal] < pts[0] and _is_lost(index, ordinal, is_start=is_start))
    ]
    return sorted(shown, key=pts.__getitem__)


def syncs_of(index: Index) -> list[int]:
    """Ordinals of the sync pictures."""
    return [ordinal for ordinal, facts in enumerate(index.facts) if facts.sync]


def _check_syncs(index: Index) -> None:
    """Every sync picture comes after all that is decoded before it; see SAMPLER rules."""
    pts, syncs = index.pts, syncs_of(index)
    if not index.facts[0].sync:
        raise NoShortcut("the film does not begin with a sync picture")
    highest: int | None = None
    previous: int | None = None
    for sync, following in pairwise([*syncs, len(index)]):
        if highest is not None and pts[sync] <= highest:
            raise NoShortcut("a sync picture that is shown before earlier ones")
        first = min(pts[sync:following])
        if first < pts[sync]:
            if index.facts[sync].sync is Sync.CLEAN and index.codec != "hevc":
                raise NoShortcut("leading pictures after a picture that allows none")
            if previous is not None and first <= pts[previous]:
                raise NoShortcut("leading pictures from before the previous sync picture")
        highest = max(pts[sync:following])
        previous = sync


def _is_lost(index: Index, ordinal: int, *, is_start: bool) -> bool:
    """Whether a leading picture of the first sync picture is shown by nobody."""
    if not is_start or index.facts[ordinal].skipped_leading:
        return True
    if index.codec != "hevc":
        raise NoShortcut("leading pictures at the start of the film")
    return False


def make_plan(index: Index, targets: Sequence[int]) -> Plan:
    """What to decode for the pictures of the packets `targets` (ordinals, in any order)."""
    if index.references is not None:
        return _follow_references(index, targets)
    return _follow_groups(index, targets)


def _follow_groups(index: Index, targets: Sequence[int]) -> Plan:
    """From each target back to its sync picture, without what nothing refers to."""
    pts, syncs = index.pts, syncs_of(index)
    droppable = _droppable(index)
    needed = bytearray(len(index))
    starts: set[int] = set()
    passed: set[int] = set()  # syncs on the way to a leading picture: no restart there
    done: tuple[int, int] | None = None
    for target in sorted(targets):
        last = bisect_right(syncs, target) - 1
        begin = last
        while begin > 0 and pts[syncs[begin]] > pts[target]:
            begin -= 1
        passed.update(syncs[begin + 1 : last + 1])
        sync = syncs[begin]
        starts.add(sync)
        first = done[1] + 1 if done is not None and done[0] == sync else sync
        for ordinal in range(first, target):
            leading = ordinal > sync and pts[ordinal] < pts[sync] <= pts[target]
            if not droppable[ordinal] and not leading:
                needed[ordinal] = 1
        needed[target] = 1
        if pts[target] >= pts[sync]:
            done = (sync, target)
    restarts = {
        ordinal
        for ordinal in starts - passed
        if ordinal and index.facts[ordinal].sync is Sync.FLUSH
    }
    return Plan(needed, frozenset(restarts))


def _droppable(index: Index) -> list[bool]:
    facts = index.facts
    droppable = [fact.droppable for fact in facts]
    if index.codec == "hevc":
        # A picture of a lower layer may be referred to by one of a higher layer.
        highest = max(fact.temporal_layer for fact in facts)
        droppable = [fact.droppable and fact.temporal_layer == highest for fact in facts]
    elif index.codec == "vp9":
        droppable = _droppable_vp9(facts)
    return droppable


def _droppable_vp9(facts: Sequence[PictureFacts]) -> list[bool]:
    """Only before a frame that does not lean on the one directly before it."""
    droppable = [False] * len(facts)
    resilient = True
    for ordinal in range(len(facts) - 1, -1, -1):
        fact = facts[ordinal]
        droppable[ordinal] = fact.droppable and resilient and not fact.shows_earlier
        if not droppable[ordinal]:
            resilient = fact.resilient and not fact.shows_earlier
    return droppable


def _follow_references(index: Index, targets: Sequence[int]) -> Plan:
    """AV1: the closure over references; packets are cut to the frames in it."""
    graph = index.references
    if graph is None:
        raise NoShortcut("no references")
    wanted: set[int] = set()
    open_frames = [graph.packets[target].shown for target in targets]
    while open_frames:
        frame = open_frames.pop()
        if frame not in wanted:
            wanted.add(frame)
            open_frames.extend(graph.frames[frame].references)
    plan = Plan(bytearray(len(index)))
    for ordinal, packet in enumerate(graph.packets):
        kept = [frame for frame in packet.frames if frame in wanted]
        if kept:
            plan.needed[ordinal] = 1
        if kept and len(kept) < len(packet.frames):
            plan.cuts[ordinal] = tuple(
                (unit.start, unit.end)
                for unit in packet.units
                if unit.frame is None or unit.frame in wanted
            )
    return plan
