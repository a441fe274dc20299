"""VP9: uncompressed frame headers of each superframe (VP9 bitstream specification, 6.2)."""

from __future__ import annotations

from dataclasses import dataclass

from fimq_worker.vision.bitstream.bits import BitReader, NoShortcut, PictureFacts, Sync

_EVERY_SLOT = 255


@dataclass(frozen=True, slots=True)
class _Header:
    shown: bool
    key: bool
    resilient: bool
    refreshed_slots: int
    refreshes_context: bool
    shows_earlier: bool = False


class Vp9Reader:
    """Reads packets of one VP9 film.

    A frame that refreshes no slot and no probabilities can be left out, if the next frame
    decoded does not lean on the one directly before it (motion vectors, segmentation).
    """

    def read(self, packet: bytes) -> PictureFacts:
        """The facts of the next packet."""
        headers = [_read_header(frame) for frame in _superframe(packet)]
        shown = sum(header.shown for header in headers)
        if shown != 1:
            raise NoShortcut(f"a packet that shows {shown} pictures")
        return PictureFacts(
            droppable=not any(h.refreshed_slots or h.refreshes_context for h in headers),
            sync=Sync.CLEAN if headers[0].key else Sync.NONE,
            resilient=headers[0].resilient or headers[0].key,
            shows_earlier=headers[0].shows_earlier,
        )


def _superframe(packet: bytes) -> list[bytes]:
    last = packet[-1]
    if last & 0xE0 == 0xC0:
        count, size_bytes = (last & 7) + 1, ((last >> 3) & 3) + 1
        index_bytes = 2 + size_bytes * count
        if len(packet) >= index_bytes and packet[-index_bytes] == last:
            return _split(packet, count, size_bytes)
    return [packet]


def _split(packet: bytes, count: int, size_bytes: int) -> list[bytes]:
    frames, start = [], 0
    index = len(packet) - (2 + size_bytes * count) + 1
    for at in range(index, index + count * size_bytes, size_bytes):
        size = int.from_bytes(packet[at : at + size_bytes], "little")
        if size:
            frames.append(packet[start : start + size])
        start += size
    return frames


def _read_header(frame: bytes) -> _Header:
    bits = BitReader(frame[:40])
    if bits.bits(2) != 2:
        raise NoShortcut("no VP9 frame marker")
    profile = bits.bits(1) | (bits.bits(1) << 1)
    if profile == 3:
        bits.bits(1)
    if bits.flag():  # show_existing_frame
        return _Header(
            shown=True, key=False, resilient=True, refreshed_slots=0, refreshes_context=False,
            shows_earlier=True,
        )  # fmt: skip
    key = not bits.flag()
    shown, resilient = bits.flag(), bits.flag()
    intra = key or (not shown and bits.flag())
    if intra:
        return _Header(shown, key, resilient, _EVERY_SLOT, refreshes_context=True)
    if not resilient:
        bits.bits(2)
    refreshed_slots = bits.bits(8)
    bits.bits(12)  # three references with their sign bias
    _skip_size(bits)
    bits.bits(1)
    if not bits.flag():
        bits.bits(2)
    refreshes_context = not resilient and bits.flag()
    return _Header(shown, key, resilient, refreshed_slots, refreshes_context)


def _skip_size(bits: BitReader) -> None:
    if not any(bits.flag() for _ in range(3)):  # the size of none of the references
        bits.bits(32)
    if bits.flag():
        bits.bits(32)
