"""MPEG-1, MPEG-2 and MPEG-4 part 2: picture types; and codecs of pictures that stand alone."""

from __future__ import annotations

from fimq_worker.vision.bitstream.bits import NoShortcut, PictureFacts, Sync

_SEQUENCE = b"\0\0\1\xb3"
_PICTURE = b"\0\0\1\0"
_VOP = b"\0\0\1\xb6"
_INTRA, _BIDIRECTIONAL = 1, 3
_SYNC = PictureFacts(droppable=False, sync=Sync.FLUSH)
_REFERENCE = PictureFacts(droppable=False)
_DROPPABLE = PictureFacts(droppable=True)
_ALONE = PictureFacts(droppable=True, sync=Sync.CLEAN)


class Mpeg12Reader:
    """Reads packets of one MPEG-1 or MPEG-2 film."""

    def __init__(self) -> None:
        self._sequence: bytes | None = None

    def read(self, packet: bytes) -> PictureFacts:
        """The facts of the next packet."""
        at = packet.find(_PICTURE)
        if at < 0 or at + 5 >= len(packet):
            raise NoShortcut("a packet without a picture")
        if packet.find(_PICTURE, at + 4) >= 0:
            raise NoShortcut("interlaced coding")
        sequence = packet.find(_SEQUENCE, 0, at)
        if sequence >= 0:
            # Size, aspect and rate; the quantiser matrices behind them may change.
            header = packet[sequence + 4 : sequence + 8]
            if self._sequence not in {None, header}:
                raise NoShortcut("new parameter sets in mid-stream")
            self._sequence = header
        kind = (packet[at + 5] >> 3) & 7
        if kind == _INTRA:
            # Without a sequence header a decoder that starts here knows no size.
            return _SYNC if sequence >= 0 else _REFERENCE
        return _DROPPABLE if kind == _BIDIRECTIONAL else _REFERENCE


class Mpeg4Reader:
    """Reads packets of one MPEG-4 part 2 film."""

    def __init__(self, extradata: bytes) -> None:
        self._configuration = _configuration(extradata)

    def read(self, packet: bytes) -> PictureFacts:
        """The facts of the next packet."""
        at = packet.find(_VOP)
        if at < 0 or at + 4 >= len(packet):
            raise NoShortcut("a packet without a picture")
        if packet.find(_VOP, at + 4) >= 0:
            raise NoShortcut("packed B pictures")
        configuration = _configuration(packet[:at])
        if configuration:
            if self._configuration and configuration != self._configuration:
                raise NoShortcut("new parameter sets in mid-stream")
            self._configuration = configuration
        kind = packet[at + 4] >> 6
        if kind == 0:
            return _SYNC
        return _DROPPABLE if kind == 2 else _REFERENCE


class IntraReader:
    """Reads packets of a codec that refers to no other picture (MJPEG, ProRes, PNG)."""

    def read(self, packet: bytes) -> PictureFacts:  # noqa: ARG002 - nothing to look at
        """The facts of the next packet."""
        return _ALONE


def _configuration(content: bytes) -> bytes:
    """The video object layer's header up to the next start code, empty where there is none."""
    for code in range(0x20, 0x30):
        at = content.find(bytes((0, 0, 1, code)))
        if at >= 0:
            end = content.find(b"\0\0\1", at + 4)
            return content[at : end if end >= 0 else len(content)].rstrip(b"\0")
    return b""
