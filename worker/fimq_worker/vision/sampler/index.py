"""The index: what the packets of a film say, read without decoding any."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import av
from av.video.stream import VideoStream

from fimq_worker.vision.bitstream.av1 import Av1Reader
from fimq_worker.vision.bitstream.bits import BitstreamReader, NoShortcut, PictureFacts
from fimq_worker.vision.bitstream.h264 import H264Reader
from fimq_worker.vision.bitstream.hevc import HevcReader
from fimq_worker.vision.bitstream.mpeg import IntraReader, Mpeg4Reader, Mpeg12Reader
from fimq_worker.vision.bitstream.vp9 import Vp9Reader
from fimq_worker.vision.container import Container

#: Readers by codec, made from the extradata and whether references are remembered.
_READERS: dict[str, Callable[[bytes, bool], BitstreamReader]] = {
    "h264": lambda extradata, _: H264Reader(extradata),
    "hevc": lambda extradata, _: HevcReader(extradata),
    "vp9": lambda _, __: Vp9Reader(),
    "av1": lambda extradata, keep: Av1Reader(extradata, keep_graph=keep),
    "mpeg4": lambda extradata, _: Mpeg4Reader(extradata),
    "mpeg1video": lambda _, __: Mpeg12Reader(),
    "mpeg2video": lambda _, __: Mpeg12Reader(),
    "mjpeg": lambda _, __: IntraReader(),
    "prores": lambda _, __: IntraReader(),
}
_UNTIMED_FORMATS = frozenset({"avi", "h264", "hevc"})


@dataclass(slots=True)
class Index:
    """Packets in decode order, up to the one that ended all shortcuts, if one did."""

    codec: str
    packets: int = 0  #: all of them that hold a picture to be shown
    key_packets: int = 0  #: those of them that the container marks as key
    pts: array[int] = field(default_factory=lambda: array("q"))
    bytes: array[int] = field(default_factory=lambda: array("q"))
    discard: list[bool] = field(default_factory=list)
    key: list[bool] = field(default_factory=list)
    facts: list[PictureFacts] = field(default_factory=list)
    references: Av1Reader | None = None  #: AV1 only, where they were asked for
    fallback_reason: str | None = None

    def __len__(self) -> int:
        """Packets that were read."""
        return len(self.pts)


def read_index(
    container: Container,
    packets: Iterable[av.Packet[VideoStream]],
    *,
    keep_references: bool = True,
) -> Index:
    """Index packets from a sync picture on. Goes through all of them in any case."""
    index = Index(container.codec)
    reader: BitstreamReader | None = None
    last_dts: int | None = None
    known: dict[PictureFacts, PictureFacts] = {}
    try:
        reader = _reader(container, keep_references=keep_references)
    except (NoShortcut, IndexError) as reason:
        index.fallback_reason = str(reason)
    for packet in packets:
        index.packets += not packet.is_discard
        index.key_packets += packet.is_keyframe and not packet.is_discard
        if index.fallback_reason is not None or reader is None:
            continue
        try:
            pts, dts = _times(packet, last_dts)
            facts = reader.read(bytes(packet))
        except NoShortcut as reason:
            index.fallback_reason = str(reason)
            continue
        except IndexError:
            index.fallback_reason = "a header ends too early"
            continue
        last_dts = dts
        index.pts.append(pts)
        index.bytes.append(packet.size)
        index.discard.append(packet.is_discard)
        index.key.append(packet.is_keyframe)
        index.facts.append(known.setdefault(facts, facts))
    if container.counters.errors and index.fallback_reason is None:
        index.fallback_reason = "errors of the demuxer"
    if isinstance(reader, Av1Reader) and keep_references:
        index.references = reader
    return index


def _reader(container: Container, *, keep_references: bool) -> BitstreamReader:
    codec = container.codec
    if codec not in _READERS:
        raise NoShortcut(f"{codec} is always decoded in full")
    if codec in {"h264", "hevc"} and container.format in _UNTIMED_FORMATS:
        raise NoShortcut(f"{container.format} holds no presentation times")
    if container.time_base is None:
        raise NoShortcut("no time base")
    return _READERS[codec](container.extradata, keep_references)


def _times(packet: av.Packet[VideoStream], last_dts: int | None) -> tuple[int, int | None]:
    if packet.is_corrupt:
        raise NoShortcut("a packet that is marked corrupt")
    if packet.pts is None:
        raise NoShortcut("missing presentation times")
    if packet.dts is None:
        return packet.pts, last_dts
    if last_dts is not None and packet.dts <= last_dts:
        raise NoShortcut("decode times that do not increase")
    return packet.pts, packet.dts
