"""Reading bits, NAL units and the facts that all codecs share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class NoShortcut(Exception):
    """Why every packet of this film must be decoded."""


class Sync(IntEnum):
    """Whether decoding can start at a picture."""

    NONE = 0
    CLEAN = 1  #: yes; nothing after it in decode order refers to anything before it
    FLUSH = 2  #: yes, but the decoder must forget what it holds, and leading pictures are lost


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What one packet's headers say about its picture."""

    droppable: bool  #: no other picture refers to it
    sync: Sync = Sync.NONE
    skipped_leading: bool = False  #: no decoder shows it after a start at its sync picture
    temporal_layer: int = 0
    #: What follows may be decoded without what lies directly before (VP9's contexts).
    resilient: bool = True
    shows_earlier: bool = False  #: it only shows a picture that was decoded before (VP9)


class BitstreamReader(Protocol):
    """Reads one film's packets in decode order, from a sync picture on."""

    def read(self, packet: bytes) -> PictureFacts:
        """The facts of the next packet.

        Raises:
            NoShortcut: the packet holds something that only full decoding gets right.
        """
        ...


class BitReader:
    """Reads big-endian bits and Exp-Golomb numbers."""

    __slots__ = ("_length", "_position", "_value")

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "big")
        self._length = len(content) * 8
        self._position = 0

    def bits(self, count: int) -> int:
        """The next `count` bits as a number.

        Raises:
            NoShortcut: there are not so many.
        """
        self._position += count
        if self._position > self._length:
            raise NoShortcut("a header ends too early")
        return (self._value >> (self._length - self._position)) & ((1 << count) - 1)

    def flag(self) -> bool:
        """The next bit."""
        return self.bits(1) == 1

    def golomb(self) -> int:
        """The next unsigned Exp-Golomb number."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > 32:
                raise NoShortcut("a header holds a number out of range")
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed_golomb(self) -> int:
        """The next signed Exp-Golomb number."""
        value = self.golomb()
        return (value + 1) // 2 if value % 2 else -(value // 2)


def without_emulation(nal: bytes) -> bytes:
    """A NAL unit's content without the bytes that keep start codes out of it."""
    return nal.replace(b"\0\0\3", b"\0\0")


def nal_units(content: bytes, length_size: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each NAL unit; `length_size` 0 means start codes (Annex B)."""
    if length_size:
        yield from _with_lengths(content, length_size)
        return
    start = content.find(b"\0\0\1")
    while start >= 0:
        following = content.find(b"\0\0\1", start + 3)
        end = len(content) if following < 0 else following
        if end > start + 3:
            yield start + 3, end
        start = following


def _with_lengths(content: bytes, length_size: int) -> Iterator[tuple[int, int]]:
    position = 0
    while position + length_size <= len(content):
        length = int.from_bytes(content[position : position + length_size], "big")
        position += length_size
        if position + length > len(content):
            raise NoShortcut("a NAL unit is longer than its packet")
        if length:
            yield position, position + length
        position += length


class ParameterSets:
    """The parameter sets seen so far. One that comes in mid-stream ends all shortcuts."""

    def __init__(self, first: Iterator[bytes]) -> None:
        self._seen = {nal.rstrip(b"\0") for nal in first}
        self._started = False

    def meet(self, nal: bytes) -> bool:
        """Whether the set is new.

        Raises:
            NoShortcut: it is, and pictures came before it.
        """
        nal = nal.rstrip(b"\0")
        if nal in self._seen:
            return False
        if self._started:
            raise NoShortcut("new parameter sets in mid-stream")
        self._seen.add(nal)
        return True

    def start(self) -> None:
        """A picture has come."""
        self._started = True
