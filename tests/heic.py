"""A phone's HEIC: a picture made of four tiles, and a thumbnail of it on request."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TILE = 128
_PARAMETER_SETS, _IDR = (32, 33, 34), (19, 20)


def write_tiled_heic(path: Path, *, thumbnail: bool = False) -> Path:
    """Write the boxes of ISO 23008-12 by hand: four items, and one that is their grid."""
    coded = [_encode(40 * (index + 1)) for index in range(5 if thumbnail else 4)]
    pictures = [picture for _, picture in coded]
    configuration = _box(b"hvcC", _configuration(coded[0][0]))
    head = _head(pictures, configuration, start=0)
    head = _head(pictures, configuration, start=len(head) + 8)
    path.write_bytes(head + _box(b"mdat", *pictures))
    return path


def _encode(grey: int) -> tuple[list[bytes], bytes]:
    """One tile: its parameter sets, and its picture with lengths before the NAL units."""
    context = av.CodecContext.create("libx265", "w")
    context.width = context.height = TILE
    context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 25)
    context.options = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=1:info=0"}
    flat = np.full((TILE, TILE, 3), grey, np.uint8)
    packets = context.encode(av.VideoFrame.from_ndarray(flat, format="rgb24"))
    stream = b"".join(bytes(packet) for packet in [*packets, *context.encode(None)])
    units = [unit.rstrip(b"\0") for unit in stream.split(b"\0\0\1") if unit.strip(b"\0")]
    sets = [unit for unit in units if _kind(unit) in _PARAMETER_SETS]
    slices = [unit for unit in units if _kind(unit) in _IDR]
    return sets, b"".join(struct.pack(">I", len(unit)) + unit for unit in slices)


def _kind(unit: bytes) -> int:
    return (unit[0] >> 1) & 63


def _configuration(sets: list[bytes]) -> bytes:
    fixed = bytes.fromhex("0101600000009000000000001ef000fcfdf8f800000f03")
    arrays = [bytes([0x80 | _kind(s)]) + struct.pack(">HH", 1, len(s)) + s for s in sets]
    return fixed + b"".join(arrays)


def _head(pictures: list[bytes], configuration: bytes, *, start: int) -> bytes:
    count = len(pictures)
    grid = count + 1
    kinds = [b"hvc1"] * count + [b"grid"]
    items = [
        _full(b"infe", 2, int(number <= 4), struct.pack(">HH", number, 0), kind, b"\0")
        for number, kind in enumerate(kinds, start=1)
    ]
    references = [_box(b"dimg", struct.pack(">HH4H", grid, 4, 1, 2, 3, 4))]
    if count == 5:
        references.append(_box(b"thmb", struct.pack(">HHH", 5, 1, grid)))
    places = b""
    for number, picture in enumerate(pictures, start=1):
        places += struct.pack(">HHHHII", number, 0, 0, 1, start, len(picture))
        start += len(picture)
    places += struct.pack(">HHHHII", grid, 1, 0, 1, 0, 8)
    sizes = [_full(b"ispe", 0, 0, struct.pack(">II", side, side)) for side in (TILE, 2 * TILE)]
    uses = [struct.pack(">HBBB", number, 2, 0x81, 2) for number in range(1, grid)]
    uses.append(struct.pack(">HBB", grid, 1, 3))
    meta = _full(
        b"meta",
        0,
        0,
        _full(b"hdlr", 0, 0, b"\0\0\0\0pict", bytes(13)),
        _full(b"pitm", 0, 0, struct.pack(">H", grid)),
        _full(b"iloc", 1, 0, b"\x44\0", struct.pack(">H", grid), places),
        _full(b"iinf", 0, 0, struct.pack(">H", grid), *items),
        _full(b"iref", 0, 0, *references),
        _box(
            b"iprp",
            _box(b"ipco", configuration, *sizes),
            _full(b"ipma", 0, 0, struct.pack(">I", grid), *uses),
        ),
        _box(b"idat", bytes([0, 0, 1, 1]) + struct.pack(">HH", 2 * TILE, 2 * TILE)),
    )
    return _box(b"ftyp", b"heic\0\0\0\0mif1heic") + meta


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *content)
