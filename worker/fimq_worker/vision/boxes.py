"""MP4 boxes: the few facts of a file's structure that the decoder does not tell.

A film under DRM may decode to green rubbish instead of failing, so whether it is
encrypted is read here. Reading is bounded: box headers only, a fixed number of them,
and no box is believed to be larger than the one that holds it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

#: More boxes than this are not looked at. A fragmented film has two for each fragment.
MAX_BOXES = 20_000

_HOLDERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"sinf", b"moof", b"traf"})
_STARTS = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"})
#: Entries of `stsd` for pictures whose samples are encrypted.
_ENCRYPTED_ENTRIES = frozenset({b"encv", b"drmi"})
#: From the start of a visual sample entry to the boxes inside it (ISO 14496-12, 12.1.3).
_VISUAL_ENTRY = 78


@dataclass(frozen=True, slots=True)
class Box:
    """A box's type and where its content lies in the file."""

    kind: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Structure:
    """What an MP4 file's boxes say."""

    encrypted: bool
    has_index: bool  #: there is a `moov`, or a `meta` that lists pictures
    cut: bool  #: a box ends behind the end of the file


def is_mp4(head: bytes) -> bool:
    """Whether a file that starts with `head` is made of MP4 boxes."""
    return head[4:8] in _STARTS


def read_structure(fd: int) -> Structure:
    """Walk the boxes of the file. The descriptor's position is left as it was."""
    size = os.fstat(fd).st_size
    kinds = set()
    encrypted = False
    end = 0
    for box in _walk(fd, 0, size, [MAX_BOXES]):
        kinds.add(box.kind)
        end = max(end, box.end)
        if box.kind == b"stsd" and not encrypted:
            encrypted = any(
                _is_encrypted(fd, entry)
                for entry in _boxes(fd, box.start + 8, min(box.end, size), [64])
            )
    return Structure(encrypted, not kinds.isdisjoint({b"moov", b"meta"}), end > size)


def _walk(fd: int, start: int, end: int, budget: list[int]) -> Iterator[Box]:
    for box in _boxes(fd, start, end, budget):
        yield box
        if box.kind in _HOLDERS:
            yield from _walk(fd, box.start, min(box.end, end), budget)


def _boxes(fd: int, start: int, end: int, budget: list[int]) -> Iterator[Box]:
    while start + 8 <= end and budget[0] > 0:
        budget[0] -= 1
        header = os.pread(fd, 16, start)
        if len(header) < 8:
            return
        size, kind, length = int.from_bytes(header[:4], "big"), header[4:8], 8
        if size == 1 and len(header) == 16:
            size, length = int.from_bytes(header[8:], "big"), 16
        elif size == 0:
            size = end - start
        if size < length:
            return
        yield Box(kind, start + length, start + size)
        start += size


def _is_encrypted(fd: int, entry: Box) -> bool:
    if entry.kind in _ENCRYPTED_ENTRIES:
        return True
    # Some packagers keep the codec's own name and only add the `sinf` box.
    if entry.kind in {b"enca", b"mp4a"}:
        return False
    return any(
        box.kind == b"sinf" for box in _boxes(fd, entry.start + _VISUAL_ENTRY, entry.end, [32])
    )
