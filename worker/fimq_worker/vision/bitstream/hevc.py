"""HEVC: which pictures nothing refers to, and where decoding can start (ITU-T H.265, 7.4.2)."""

from __future__ import annotations

from collections.abc import Iterator

from fimq_worker.vision.bitstream.bits import (
    NoShortcut,
    ParameterSets,
    PictureFacts,
    Sync,
    nal_units,
)

_RASL = frozenset({8, 9})
_IRAP = range(16, 22)
_IDR = frozenset({19, 20})
_PARAMETER_SETS = frozenset({32, 33, 34})
_ENDS = frozenset({36, 37})


class HevcReader:
    """Reads packets of one HEVC film; only its base layer counts."""

    def __init__(self, extradata: bytes) -> None:
        self._length_size = 0
        if extradata[:1] == b"\1" and len(extradata) > 22:
            self._length_size = (extradata[21] & 3) + 1
            first = list(_hvcc_sets(extradata))
        else:
            first = [extradata[start:end] for start, end in nal_units(extradata, 0)]
        self._sets = ParameterSets(iter(first))

    def read(self, packet: bytes) -> PictureFacts:
        """The facts of the next packet."""
        droppable, leading = True, False
        sync, layer, slices = Sync.NONE, 0, 0
        for start, end in nal_units(packet, self._length_size):
            if end < start + 2:
                raise NoShortcut("a NAL unit without a header")
            kind = (packet[start] >> 1) & 63
            if ((packet[start] & 1) << 5) | (packet[start + 1] >> 3):
                continue
            if kind < 32:
                slices += 1
                layer = (packet[start + 1] & 7) - 1
                droppable &= kind < 16 and kind % 2 == 0
                leading |= kind in _RASL
                if kind in _IRAP:
                    sync = Sync.CLEAN if kind in _IDR else Sync.FLUSH
            elif kind in _PARAMETER_SETS:
                self._sets.meet(packet[start:end])
            elif kind in _ENDS:
                raise NoShortcut("end of a sequence in mid-stream")
        if not slices:
            raise NoShortcut("a packet without a picture")
        self._sets.start()
        return PictureFacts(droppable, sync=sync, skipped_leading=leading, temporal_layer=layer)


def _hvcc_sets(extradata: bytes) -> Iterator[bytes]:
    position = 23
    for _ in range(extradata[22]):
        count = int.from_bytes(extradata[position + 1 : position + 3], "big")
        position += 3
        for _ in range(count):
            length = int.from_bytes(extradata[position : position + 2], "big")
            yield extradata[position + 2 : position + 2 + length]
            position += 2 + length
            if position > len(extradata):
                raise NoShortcut("parameter sets end too early")
