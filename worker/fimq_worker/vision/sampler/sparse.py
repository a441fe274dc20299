"""The sparse sampler: decode only what the wanted pictures are built on.

Packets are indexed, what each target needs is planned, and only that is decoded, by a
strict decoder. Wherever the index cannot be trusted, or the decoder meets damage, every
packet is decoded instead; the reason is kept in the counters.

Pictures already given out stay valid in that case: each came from a complete set of
undamaged packets. Where the index is sound, pictures keep their rank in it even if the
decoder loses one before them, so that parts of a damaged film agree on their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import av
from av.video.stream import VideoStream

from fimq.errors import DecodeFailed
from fimq_worker.vision.bitstream.bits import NoShortcut
from fimq_worker.vision.container import Container
from fimq_worker.vision.decoder import Decoded
from fimq_worker.vision.sampler.base import Counters, SampledFrame, Sampling, Span
from fimq_worker.vision.sampler.clock import Clock
from fimq_worker.vision.sampler.decode_all import DecodeAll, decode
from fimq_worker.vision.sampler.index import Index, read_index
from fimq_worker.vision.sampler.plan import Cut, Plan, make_plan, presentation_order

#: Packets are kept from indexing to decoding up to so many bytes, else read twice.
KEPT_BYTES = 64 * 2**20
#: What a kept packet takes beside its content: hours of black are a million tiny packets.
_PACKET_BYTES = 1000
#: How far before a span to enter the file: its decode times lie before its times of
#: presentation.
_EARLIER_S = 1
#: Packets read after a seek to find a span's first one.
_SEARCHED_PACKETS = 5000

VideoPacket: TypeAlias = "av.Packet[VideoStream]"


@dataclass(frozen=True, slots=True)
class _Target:
    rank: int
    ordinal: int
    time_s: float
    estimated: bool


class Sparse:
    """The sampler in service. Same results as `DecodeAll`, for less work."""

    def __init__(self, *, kept_bytes: int = KEPT_BYTES) -> None:
        self.counters = Counters()
        self._kept_bytes = kept_bytes

    def sample(
        self, container: Container, sampling: Sampling, span: Span | None = None
    ) -> Iterator[SampledFrame]:
        """Yield the wanted pictures of `span`, or of the whole film.

        Raises:
            DecodeFailed: `span` was not made from this film.
        """
        if span is not None and span.whole:
            span = None
        self.counters = Counters()
        kept = _Kept(self._kept_bytes)
        index = read_index(container, kept.fill(open_window(container, span)))
        try:
            order = presentation_order(index, is_start=span is None or span.ordinal == 0)
        except NoShortcut as reason:
            if span is not None:
                raise DecodeFailed("the film is not the one that was planned") from reason
            yield from self._decode_all(container, sampling, str(reason))
            return
        if span is not None:
            order = order[: span.frames]
            if len(order) < span.frames:
                raise DecodeFailed("the film is not the one that was planned")
        targets = choose_targets(index, order, sampling, container, span)
        self.counters.planned = len(targets)
        self.counters.packets = len(index)
        last_pts: int | None = None
        try:
            for sampled in self._decode_planned(container, index, targets, kept, span):
                last_pts = sampled.pts
                yield sampled
        except NoShortcut as reason:
            self.counters.fallback_reason = str(reason)
            kept.clear()
            yield from self._decode_window(container, index, targets, span, after=last_pts)

    def _decode_all(
        self, container: Container, sampling: Sampling, reason: str
    ) -> Iterator[SampledFrame]:
        sampler = DecodeAll()
        try:
            yield from sampler.sample(container, sampling)
        finally:
            self.counters = sampler.counters
            self.counters.fallback_reason = reason

    def _decode_planned(
        self,
        container: Container,
        index: Index,
        targets: dict[int, _Target],
        kept: _Kept,
        span: Span | None,
    ) -> Iterator[SampledFrame]:
        """Decode what is needed, and insist that it all goes as planned."""
        if not targets:
            return
        plan = make_plan(index, [target.ordinal for target in targets.values()])
        packets: Iterable[VideoPacket] = (
            kept.packets if kept.packets is not None else open_window(container, span)
        )
        open_targets = dict(targets)
        last_pts: int | None = None
        for decoded in self._feed(container, packets, plan):
            self.counters.decoded += len(decoded.frames)
            if decoded.error is not None or decoded.repaired:
                raise NoShortcut(f"damage: {decoded.error or 'repaired by the decoder'}")
            for frame in decoded.frames:
                if frame.is_corrupt:
                    raise NoShortcut("a picture that is marked corrupt")
                if frame.pts is None or frame.pts not in open_targets:
                    continue
                target = open_targets.pop(frame.pts)
                if last_pts is not None and frame.pts <= last_pts:
                    raise NoShortcut("pictures out of order")
                last_pts = frame.pts
                yield _sampled(target, frame, damaged=False)
        if open_targets:
            raise NoShortcut(f"{len(open_targets)} pictures did not come")

    def _feed(
        self, container: Container, packets: Iterable[VideoPacket], plan: Plan
    ) -> Iterator[Decoded]:
        decoder = container.decoder(strict=True)
        last = plan.needed.rindex(1)
        for ordinal, packet in enumerate(islice(packets, last + 1)):
            if not plan.needed[ordinal]:
                continue
            if ordinal in plan.restarts:
                yield decoder.feed(None)
                decoder.restart()
            cut = plan.cuts.get(ordinal)
            yield decoder.feed(_cut(packet, cut) if cut is not None else packet)
        yield decoder.feed(None)

    def _decode_window(
        self,
        container: Container,
        index: Index,
        targets: dict[int, _Target],
        span: Span | None,
        *,
        after: int | None,
    ) -> Iterator[SampledFrame]:
        """Decode every packet, and give out the targets that are still wanted."""
        packets = open_window(container, span)
        last_pts = after
        for picture in decode(container.decoder(), islice(packets, len(index)), self.counters):
            frame = picture.frame
            if frame.pts is None or frame.pts not in targets:
                continue
            if last_pts is not None and frame.pts <= last_pts:
                continue
            last_pts = frame.pts
            yield _sampled(targets[frame.pts], frame, damaged=picture.damaged)
        self.counters.packet_errors += container.counters.errors


class _Kept:
    """Packets kept in memory, unless they are too many."""

    def __init__(self, limit: int) -> None:
        self.packets: list[VideoPacket] | None = []
        self._room = limit

    def fill(self, packets: Iterable[VideoPacket]) -> Iterator[VideoPacket]:
        """Keep packets on their way."""
        for packet in packets:
            self._room -= packet.size + _PACKET_BYTES
            if self._room < 0:
                self.clear()
            if self.packets is not None:
                self.packets.append(packet)
            yield packet

    def clear(self) -> None:
        """Let all of them go."""
        self.packets = None


def choose_targets(
    index: Index, order: list[int], sampling: Sampling, container: Container, span: Span | None
) -> dict[int, _Target]:
    """The wanted pictures by PTS. `order` is that of the span."""
    clock = Clock(
        sampling,
        container.time_base,
        container.average_fps,
        origin_pts=span.origin_pts if span is not None else None,
        previous_pts=span.previous_pts if span is not None else None,
    )
    first = span.first_frame if span is not None else 0
    targets = {}
    for rank, ordinal in enumerate(order, start=first):
        pts = index.pts[ordinal]
        tick = clock.tick(rank, pts, key=index.key[ordinal])
        if tick.wanted:
            targets[pts] = _Target(rank, ordinal, tick.time_s, tick.estimated)
    return targets


def open_window(container: Container, span: Span | None) -> Iterator[VideoPacket]:
    """The packets of a span, or of the whole film, from a fresh start.

    Raises:
        DecodeFailed: the span's first packet is not in this film.
    """
    container.rewind()
    if span is None:
        return container.packets()
    found = None
    if span.ordinal and container.seek(span.start_pts - _earlier(container)):
        found = _find(container.packets(), span, within=_SEARCHED_PACKETS)
    if found is None:
        container.rewind()
        found = _find(islice(container.packets(), span.ordinal, None), span, within=1)
    if found is None:
        raise DecodeFailed("the film is not the one that was planned")
    return found


def _earlier(container: Container) -> int:
    return round(_EARLIER_S / container.time_base) if container.time_base else 0


def _find(
    packets: Iterator[VideoPacket], span: Span, *, within: int
) -> Iterator[VideoPacket] | None:
    for packet in islice(packets, within):
        if packet.pts == span.start_pts and packet.size == span.start_bytes:
            return _chain(packet, packets, span.packets)
    return None


def _chain(first: VideoPacket, packets: Iterator[VideoPacket], count: int) -> Iterator[VideoPacket]:
    yield first
    yield from islice(packets, count - 1)


def _cut(packet: VideoPacket, kept: tuple[Cut, ...]) -> VideoPacket:
    content = bytes(packet)
    part: VideoPacket = av.Packet(b"".join(content[start:end] for start, end in kept))  # type: ignore[assignment]
    part.pts, part.dts, part.time_base = packet.pts, packet.dts, packet.time_base
    return part


def _sampled(target: _Target, frame: av.VideoFrame, *, damaged: bool) -> SampledFrame:
    return SampledFrame(target.rank, frame.pts, target.time_s, target.estimated, frame, damaged)
