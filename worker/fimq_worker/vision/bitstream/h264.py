"""H.264: which pictures nothing refers to, and where decoding can start (ITU-T H.264, 7.3)."""

from __future__ import annotations

from collections.abc import Iterator

from fimq_worker.vision.bitstream.bits import (
    BitReader,
    NoShortcut,
    ParameterSets,
    PictureFacts,
    Sync,
    nal_units,
    without_emulation,
)

_SLICE, _IDR, _SPS, _PPS, _END_OF_SEQUENCE, _END_OF_STREAM = 1, 5, 7, 8, 10, 11
_PARTITIONS = frozenset({2, 3, 4})
#: Profiles whose parameter set tells the chroma format (7.3.2.1.1).
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


class H264Reader:
    """Reads packets of one H.264 film.

    Only an IDR picture is a sync point: a restart at a recovery point loses pictures.
    """

    def __init__(self, extradata: bytes) -> None:
        self._length_size = 0
        if extradata[:1] == b"\1" and len(extradata) > 6:
            self._length_size = (extradata[4] & 3) + 1
            first = list(_avcc_sets(extradata))
        else:
            first = [extradata[start:end] for start, end in nal_units(extradata, 0)]
        for nal in first:
            _refuse_interlaced(nal)
        self._sets = ParameterSets(iter(first))

    def read(self, packet: bytes) -> PictureFacts:
        """The facts of the next packet."""
        slices = reference = 0
        idr = False
        for start, end in nal_units(packet, self._length_size):
            kind = packet[start] & 31
            if kind in {_SLICE, _IDR}:
                slices += 1
                reference |= (packet[start] >> 5) & 3
                idr |= kind == _IDR
            elif kind in _PARTITIONS:
                raise NoShortcut("data partitioning")
            elif kind in {_SPS, _PPS}:
                if self._sets.meet(packet[start:end]):
                    _refuse_interlaced(packet[start:end])
            elif kind in {_END_OF_SEQUENCE, _END_OF_STREAM}:
                raise NoShortcut("end of a sequence in mid-stream")
        if not slices:
            raise NoShortcut("a packet without a picture")
        self._sets.start()
        return PictureFacts(droppable=not reference, sync=Sync.CLEAN if idr else Sync.NONE)


def _avcc_sets(extradata: bytes) -> Iterator[bytes]:
    position = 5
    for mask in (31, 255):  # how many SPS, then how many PPS
        if position >= len(extradata):
            return
        count = extradata[position] & mask
        position += 1
        for _ in range(count):
            length = int.from_bytes(extradata[position : position + 2], "big")
            yield extradata[position + 2 : position + 2 + length]
            position += 2 + length


def _refuse_interlaced(nal: bytes) -> None:
    if nal and nal[0] & 31 == _SPS and not _frames_only(nal):
        raise NoShortcut("interlaced coding")


def _frames_only(nal: bytes) -> bool:
    bits = BitReader(without_emulation(nal[1:256]))
    profile = bits.bits(8)
    bits.bits(16)
    bits.golomb()
    if profile in _HIGH_PROFILES:
        _skip_chroma(bits)
    bits.golomb()
    order_count = bits.golomb()
    if order_count == 0:
        bits.golomb()
    elif order_count == 1:
        bits.bits(1)
        bits.signed_golomb()
        bits.signed_golomb()
        for _ in range(bits.golomb()):
            bits.signed_golomb()
    bits.golomb()
    bits.bits(1)
    bits.golomb()
    bits.golomb()
    return bits.flag()


def _skip_chroma(bits: BitReader) -> None:
    chroma = bits.golomb()
    if chroma == 3:
        bits.bits(1)
    bits.golomb()
    bits.golomb()
    bits.bits(1)
    if bits.flag():
        for index in range(8 if chroma != 3 else 12):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last
