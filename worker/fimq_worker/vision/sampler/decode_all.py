"""Decode every packet and count every picture: the slow way that all others must match."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import av
from av.video.stream import VideoStream

from fimq_worker.vision.container import Container
from fimq_worker.vision.decoder import Decoder
from fimq_worker.vision.sampler.base import Counters, SampledFrame, Sampling, Span
from fimq_worker.vision.sampler.clock import Clock


class DecodeAll:
    """The reference sampler. It knows whole films only, no parts of them."""

    def __init__(self) -> None:
        self.counters = Counters()

    def sample(
        self, container: Container, sampling: Sampling, span: Span | None = None
    ) -> Iterator[SampledFrame]:
        """Yield the wanted pictures, counted as they come out of the decoder."""
        if span is not None and not span.whole:
            raise ValueError(span)
        self.counters = counters = Counters()
        container.rewind()
        keys: set[int] = set()
        clock = Clock(sampling, container.time_base, container.average_fps)
        packets = note_keys(container.packets(), keys)
        for index, picture in enumerate(decode(container.decoder(), packets, counters)):
            frame = picture.frame
            key = frame.pts in keys if frame.pts is not None else frame.key_frame
            tick = clock.tick(index, frame.pts, key=key)
            if tick.wanted:
                counters.planned += 1
                yield SampledFrame(
                    index, frame.pts, tick.time_s, tick.estimated, frame, picture.damaged
                )
        counters.packets = container.counters.packets
        counters.packet_errors += container.counters.errors


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture and whether it can be trusted."""

    frame: av.VideoFrame
    damaged: bool


def decode(
    decoder: Decoder, packets: Iterable[av.Packet[VideoStream]], counters: Counters
) -> Iterator[Picture]:
    """Decode packets past all errors.

    A packet that failed, or that the decoder had to repair, damages its own picture and
    those decoded after it up to the next key packet: each is built on the one before.
    """
    damaged = False
    tainted: set[int] = set()
    for packet in packets:
        decoded = decoder.feed(packet)
        counters.packet_errors += decoded.error is not None
        hurt = decoded.error is not None or decoded.repaired or packet.is_corrupt
        damaged = hurt or (damaged and not packet.is_keyframe)
        if damaged and packet.pts is not None:
            tainted.add(packet.pts)
        yield from _judge(decoded.frames, tainted, counters, fallback=damaged)
    yield from _judge(decoder.feed(None).frames, tainted, counters, fallback=damaged)


def _judge(
    frames: Iterable[av.VideoFrame], tainted: set[int], counters: Counters, *, fallback: bool
) -> Iterator[Picture]:
    for frame in frames:
        counters.decoded += 1
        # Without a PTS nobody knows which packet a picture came from.
        damaged = fallback if frame.pts is None else frame.pts in tainted
        yield Picture(frame, damaged or frame.is_corrupt)


def note_keys(
    packets: Iterable[av.Packet[VideoStream]], keys: set[int]
) -> Iterator[av.Packet[VideoStream]]:
    """Pass packets on and collect the PTS of those that the container marks as key."""
    for packet in packets:
        if packet.is_keyframe and packet.pts is not None:
            keys.add(packet.pts)
        yield packet
