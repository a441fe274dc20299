"""Sampling: which pictures are wanted, what comes back, and what every sampler promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, get_args

import av

from fimq.errors import UsageError
from fimq_worker.vision.container import Container

Mode = Literal["every", "fps", "keyframes"]


class SamplingInvalid(UsageError):
    """This is no way to sample a video."""

    code = "sampling_invalid"
    hint = "Use every:25, fps:1 or keyframes."


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which pictures are wanted, in presentation order.

    `every`: those with index 0, n, 2n, ... `fps`: the first, then each first one of a new
    1/n of a second. `keyframes`: those whose packets the container marks as key.
    """

    mode: Mode = "every"
    n: float = 25

    def __post_init__(self) -> None:
        whole = self.mode != "every" or self.n == int(self.n)
        if self.mode not in get_args(Mode) or not 0 < self.n <= 1_000_000 or not whole:
            raise SamplingInvalid(f"{self.mode}:{self.n:g} is no way to sample a video")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `every:25`, `fps:0.5` or `keyframes`.

        Raises:
            SamplingInvalid: it is none of these.
        """
        mode, _, number = text.partition(":")
        try:
            if mode == "keyframes" and not number:
                return cls("keyframes", 1)
            if mode in {"every", "fps"}:
                return cls(mode, float(number))  # type: ignore[arg-type]  # both are modes
        except (ValueError, OverflowError):
            pass
        raise SamplingInvalid(f"{text!r} is no way to sample a video")

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return self.mode if self.mode == "keyframes" else f"{self.mode}:{self.n:g}"

    @property
    def stride(self) -> int:
        """Pictures from one sample to the next in mode `every`."""
        return int(self.n)

    def for_length(self, frames: int, *, min_samples: int = 16) -> Sampling:
        """Sampling that gives a short video enough samples.

        In mode `every` the stride is halved until `frames` pictures give at least
        `min_samples`, or it is 1. Other modes stay as they are.
        """
        if self.mode != "every":
            return self
        stride = self.stride
        while stride > 1 and -(-frames // stride) < min_samples:
            stride //= 2
        return Sampling("every", stride)


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """One picture that was wanted."""

    frame_index: int  #: in presentation order, from 0 at the start of the film
    pts: int | None  #: as the file has it
    time_s: float  #: from the first picture on
    time_estimated: bool  #: the file gives no usable time; this one is from the average rate
    frame: av.VideoFrame
    damaged: bool  #: the decoder had to repair it, or a picture that it builds on


@dataclass(slots=True)
class Counters:
    """What a sampler met; complete when its iterator has ended."""

    planned: int = 0  #: pictures that were wanted; those that did not come are lost
    packets: int = 0
    packet_errors: int = 0  #: packets that failed or that the demuxer could not read
    decoded: int = 0  #: pictures that came out of the decoder
    fallback_reason: str | None = None  #: why every packet was decoded


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a film that can be sampled by itself, with the result of one pass.

    It holds the pictures `first_frame` and the `frames - 1` after it in presentation
    order. To get them, decoding starts at the sync picture `start_pts` and needs
    `packets` packets. A span that is the `whole` film needs no such facts.
    """

    first_frame: int
    frames: int
    running_s: float
    ordinal: int  #: of the sync picture's packet, in decode order
    packets: int
    start_pts: int
    start_bytes: int  #: size of the sync picture's packet, to know it again
    origin_pts: int  #: of the film's first picture
    previous_pts: int | None  #: of the picture before this span
    whole: bool = False

    @classmethod
    def of_whole(cls, *, frames: int, packets: int, running_s: float) -> Self:
        """The span that is all of a film, whatever its packets are like."""
        return cls(0, frames, running_s, 0, packets, 0, 0, 0, None, whole=True)

    @property
    def last_frame(self) -> int:
        """Index of the last picture."""
        return self.first_frame + self.frames - 1

    def to_dict(self) -> dict[str, int | float | None]:
        """The span as plain numbers, for the ledger and the wire."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, numbers: dict[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        return cls(**numbers)


class Sampler(Protocol):
    """Finds the wanted pictures of a film.

    The pictures come in presentation order, each bit-identical, with the index and PTS
    that it has when every packet is decoded in order. `sampling` is meant as it is: the
    caller has fitted it to the film's length.
    """

    counters: Counters

    def sample(
        self, container: Container, sampling: Sampling, span: Span | None = None
    ) -> Iterator[SampledFrame]:
        """Yield the wanted pictures of `span`, or of the whole film."""
        ...
