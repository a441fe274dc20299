"""AV1: which frames each frame refers to, from its OBU headers (AV1 specification, 5.5 to 5.9).

A packet may hold hidden frames beside the one it shows, so what is needed is found by
following references, and packets are cut to the frames that are needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from fimq_worker.vision.bitstream.bits import BitReader, NoShortcut, PictureFacts, Sync

_SEQUENCE, _FRAME_HEADER, _TILES, _FRAME, _REPEATED_HEADER = 1, 3, 4, 6, 7
_KEY, _INTRA_ONLY, _SWITCH, _EXISTING = 0, 2, 3, 4
_SLOTS = 8
_EVERY_SLOT = 255


@dataclass(frozen=True, slots=True)
class Frame:
    """One coded frame: its type and the numbers of the frames it refers to."""

    kind: int
    references: frozenset[int]
    shown: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """One OBU of a packet, and the number of the frame it belongs to, if to one."""

    start: int
    end: int
    frame: int | None


@dataclass(frozen=True, slots=True)
class Packet:
    """One temporal unit."""

    units: tuple[Unit, ...]
    frames: tuple[int, ...]
    shown: int


@dataclass(frozen=True, slots=True)
class _Sequence:
    order_bits: int
    screen_content: int  #: 2: each frame says
    integer_vectors: int


class Av1Reader:
    """Reads packets of one AV1 film. With `keep_graph`, the references are remembered."""

    def __init__(self, extradata: bytes = b"", *, keep_graph: bool) -> None:
        self.frames: list[Frame] = []
        self.packets: list[Packet] = []
        self._keep_graph = keep_graph
        self._sequence: _Sequence | None = None
        self._sequence_bytes: bytes | None = None
        self._slots: list[int | None] = [None] * _SLOTS
        # av1C: four bytes, then OBUs. What the first packet says goes before.
        for _, content, end, kind in _units(extradata[4:] if extradata[:1] == b"\x81" else b""):
            if kind == _SEQUENCE:
                self._sequence = _read_sequence(extradata[4:][content:end])

    def read(self, packet: bytes) -> PictureFacts:
        """The facts of the next packet."""
        units: list[Unit] = []
        frames: list[int] = []
        open_frame: int | None = None
        for start, content, end, kind in _units(packet):
            frame: int | None = None
            if kind == _SEQUENCE:
                self._read_sequence(packet[content:end])
            elif kind in {_FRAME_HEADER, _FRAME} or (
                kind == _REPEATED_HEADER and open_frame is None
            ):
                frame = open_frame = self._read_frame(packet[content:end])
                frames.append(frame)
                if kind == _FRAME:
                    open_frame = None
            elif kind == _REPEATED_HEADER:
                frame = open_frame
            elif kind == _TILES:
                frame = frames[-1] if frames else None
            units.append(Unit(start, end, frame))
        shown = [number for number in frames if self.frames[number].shown]
        if len(shown) != 1:
            raise NoShortcut(f"a packet that shows {len(shown)} pictures")
        key = any(
            self.frames[number].kind == _KEY and self.frames[number].shown for number in frames
        )
        if self._keep_graph:
            self.packets.append(Packet(tuple(units), tuple(frames), shown[0]))
        elif key:
            self._forget()
        return PictureFacts(droppable=False, sync=Sync.CLEAN if key else Sync.NONE)

    def _forget(self) -> None:
        """Keep only the frames in the slots: a film of hours has millions."""
        kept = sorted({number for number in self._slots if number is not None})
        renumbered = {number: index for index, number in enumerate(kept)}
        self.frames = [
            Frame(self.frames[number].kind, frozenset(), self.frames[number].shown)
            for number in kept
        ]
        self._slots = [None if number is None else renumbered[number] for number in self._slots]

    def _read_sequence(self, content: bytes) -> None:
        if self._sequence_bytes not in {None, content}:
            raise NoShortcut("new parameter sets in mid-stream")
        if self._sequence_bytes is None:
            self._sequence_bytes, self._sequence = content, _read_sequence(content)

    def _read_frame(self, content: bytes) -> int:
        """Read one frame header, refresh the slots, and return the frame's number."""
        if self._sequence is None:
            raise NoShortcut("a frame before its sequence header")
        bits = BitReader(content[:48])
        if bits.flag():  # show_existing_frame
            return self._show_existing(bits.bits(3))
        kind, shown = bits.bits(2), bits.flag()
        if not shown:
            bits.bits(1)
        starts_anew = kind == _SWITCH or (kind == _KEY and shown)
        resilient = starts_anew or bits.flag()
        self._skip_tools(bits, kind)
        intra = kind in {_KEY, _INTRA_ONLY}
        if not (intra or resilient):
            bits.bits(3)
        refreshed = _EVERY_SLOT if starts_anew else bits.bits(8)
        if (not intra or refreshed != _EVERY_SLOT) and resilient and self._sequence.order_bits:
            bits.bits(_SLOTS * self._sequence.order_bits)
        references = frozenset() if intra else self._read_references(bits)
        self.frames.append(Frame(kind, references, shown))
        number = len(self.frames) - 1
        for slot in range(_SLOTS):
            if refreshed >> slot & 1:
                self._slots[slot] = number
        return number

    def _show_existing(self, slot: int) -> int:
        number = self._slots[slot]
        if number is None:
            raise NoShortcut("a frame that refers to an empty slot")
        if self.frames[number].kind == _KEY:
            raise NoShortcut("a key frame that is shown later")
        self.frames.append(Frame(_EXISTING, frozenset({number}), shown=True))
        return len(self.frames) - 1

    def _skip_tools(self, bits: BitReader, kind: int) -> None:
        if self._sequence is None:
            raise NoShortcut("a frame before its sequence header")
        bits.bits(1)  # disable_cdf_update
        screen_content = self._sequence.screen_content
        if screen_content == 2:
            screen_content = bits.bits(1)
        if screen_content and self._sequence.integer_vectors == 2:
            bits.bits(1)
        if kind != _SWITCH:
            bits.bits(1)  # frame_size_override_flag
        bits.bits(self._sequence.order_bits)

    def _read_references(self, bits: BitReader) -> frozenset[int]:
        if self._sequence is not None and self._sequence.order_bits and bits.flag():
            raise NoShortcut("short reference signalling")
        numbers = {self._slots[bits.bits(3)] for _ in range(7)}
        found = frozenset(number for number in numbers if number is not None)
        if len(found) != len(numbers):
            raise NoShortcut("a frame that refers to an empty slot")
        return found


def _units(packet: bytes) -> list[tuple[int, int, int, int]]:
    """(start, start of the content, end, type) of each OBU."""
    units, start = [], 0
    while start < len(packet):
        header, content = packet[start], start + 1
        if header & 4:
            if content >= len(packet):
                raise NoShortcut("a header ends too early")
            if (packet[content] >> 3) & 3:
                raise NoShortcut("spatial layers")
            content += 1
        size = len(packet) - content
        if header & 2:
            size, content = _leb128(packet, content)
        end = content + size
        if end > len(packet):
            raise NoShortcut("an OBU is longer than its packet")
        units.append((start, content, end, (header >> 3) & 15))
        start = end
    return units


def _leb128(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(content[position : position + 8]):
        value |= (byte & 127) << (7 * index)
        if not byte & 128:
            return value, position + index + 1
    raise NoShortcut("a header ends too early")


def _read_sequence(content: bytes) -> _Sequence:
    bits = BitReader(content[:64])
    bits.bits(4)  # profile, still_picture
    if bits.flag():
        raise NoShortcut("a reduced still picture header")
    if bits.flag():  # timing_info_present_flag
        bits.bits(64)
        if bits.flag():
            bits.golomb()
        if bits.flag():
            raise NoShortcut("a decoder model")
    _skip_operating_points(bits)
    width_bits, height_bits = bits.bits(4) + 1, bits.bits(4) + 1
    bits.bits(width_bits + height_bits)
    if bits.flag():
        raise NoShortcut("frame numbers")
    bits.bits(7)
    has_order = bits.flag()
    if has_order:
        bits.bits(2)
    screen_content = 2 if bits.flag() else bits.bits(1)
    integer_vectors = 2
    if screen_content:
        integer_vectors = 2 if bits.flag() else bits.bits(1)
    order_bits = bits.bits(3) + 1 if has_order else 0
    return _Sequence(order_bits, screen_content, integer_vectors)


def _skip_operating_points(bits: BitReader) -> None:
    has_delay = bits.flag()
    for _ in range(bits.bits(5) + 1):
        layers = bits.bits(12) >> 8
        if layers.bit_count() > 1:
            raise NoShortcut("spatial layers")
        if bits.bits(5) > 7:
            bits.bits(1)
        if has_delay and bits.flag():
            bits.bits(4)
