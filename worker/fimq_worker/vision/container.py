"""The container: an upload opened safely, with the one film in it that is judged.

Nothing but the upload itself is ever opened: it is read through a descriptor, playlists
and other formats that name files are not on the list, and no protocol but that descriptor
may be used. Codec and size are checked before the first packet is decoded, and again by
the decoder at each picture.

One container reads a descriptor at a time: two would share its position.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from fimq.errors import (
    DecodeFailed,
    DecoderMemory,
    Encrypted,
    NotAVideo,
    TooLong,
    TooManyPixels,
    Truncated,
    UnsupportedCodec,
)
from fimq_worker.vision.boxes import Structure, is_mp4, read_structure
from fimq_worker.vision.decoder import Decoder, logged
from fimq_worker.vision.film import (
    DECODERS,
    choose_film,
    codec_of,
    duration_of,
    is_still,
    promised_duration,
)
from fimq_worker.vision.orientation import quarter_turn, upright

#: Demuxers that may read an upload. No playlist, no script, no image sequence.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,"
    "gif,apng,webp_pipe,png_pipe,jpeg_pipe,mjpeg,h264,hevc,m4v,ivf,obu,av1"
)
#: First bytes of what those demuxers read, where a file that cannot be opened is a cut one.
_SIGNATURES = (
    b"\x1aE\xdf\xa3", b"RIFF", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"FLV", b"GIF8",
    b"\x89PNG", b"\xff\xd8\xff", b"DKIF", b"\x00\x00\x00\x01", b"G@",
)  # fmt: skip
_WEBP_ANIMATION = 0x02
_STILLS = frozenset({"webp_pipe", "png_pipe", "jpeg_pipe"})
#: A gap between two packets counts for at most so many seconds of running time: a jump of
#: the clock by a day does not make a film of a minute too long.
LONGEST_GAP_S = 60
#: FFmpeg counts a picture's width up to the next multiple of its widest vector, at most 64, on
#: each of at most 65,535 lines. `Decoder` holds pictures to the limit itself.
_ALIGNMENT = 64 * 65_535
#: Packets a second that a film of the longest duration may have.
_MAX_RATE = 240
#: Errors of the demuxer in a row after which the rest of the file is given up.
_MAX_DEMUX_ERRORS = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """What this installation accepts."""

    max_pixels: int = 8192 * 4608
    max_duration_s: float = 12 * 3600


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file claims about its film, and what its first picture shows."""

    format: str
    codec: str
    width: int  #: as displayed: turned upright, with square pixels
    height: int
    rotation: int  #: degrees as the file has it: 0, 90, 180 or 270
    sample_aspect: Fraction
    average_fps: float  #: 0 where the file does not say
    duration_s: float  #: the header's claim; 0 where it makes none
    frames: int  #: the header's claim, or an estimate from it; 0 where it makes none
    pix_fmt: str
    other_streams: tuple[str, ...]  #: video streams that are not judged
    still: bool


@dataclass(slots=True)
class DemuxCounters:
    """What reading packets met since the last rewind."""

    packets: int = 0
    errors: int = 0
    running_s: float = 0.0  #: a long gap between two packets counts in part
    clock_s: float = 0.0  #: the same with every gap as it is


def open_video(source: Path | int, limits: Limits | None = None) -> Container:
    """Open an upload, given as a path or as a descriptor that stays the caller's.

    Raises:
        NotAVideo: it is something else, or a format that is not allowed.
        Truncated: it is a video's beginning, too little to read.
        NoVideoStream, UnsupportedCodec, Encrypted, TooManyPixels: as they say.
    """
    fd = os.dup(source) if isinstance(source, int) else os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return Container(fd, limits or Limits())
    except BaseException:
        os.close(fd)
        raise


class Container:
    """One film, readable from its start as often as needed. Made by `open_video`."""

    def __init__(self, fd: int, limits: Limits) -> None:
        self._fd = fd
        self.limits = limits
        head = os.pread(fd, 64, 0)
        structure = read_structure(fd) if is_mp4(head) else None
        if structure is not None and structure.encrypted:
            raise Encrypted
        if head[8:16] == b"WEBPVP8X" and head[20] & _WEBP_ANIMATION:
            raise UnsupportedCodec("an animated WebP cannot be read", codec="webp")
        self._av = _open(fd, head, structure)
        try:
            self._choose()
        except BaseException:
            self._av.close()
            raise
        self.counters = DemuxCounters()
        self._fresh = True

    def _choose(self) -> None:
        self._film, self._others = choose_film(self._av)
        context = self._film.codec_context
        if context.width * context.height > self.limits.max_pixels:
            raise TooManyPixels(
                width=context.width, height=context.height, limit=self.limits.max_pixels
            )
        for stream in self._av.streams:
            if stream is not self._film:
                stream.discard = Discard.all

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back. Closing twice does no harm."""
        self._av.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # --- facts of the header

    @property
    def format(self) -> str:
        """FFmpeg's name of the demuxer."""
        return self._av.format.name

    @cached_property
    def codec(self) -> str:
        """FFmpeg's canonical name of the codec."""
        return codec_of(self._film)

    @property
    def extradata(self) -> bytes:
        """The codec's parameter sets as the container holds them; may be empty."""
        return self._film.codec_context.extradata or b""

    @property
    def time_base(self) -> Fraction | None:
        """Seconds of one tick of a PTS; None where the file does not say."""
        return self._film.time_base or None

    @property
    def sample_aspect(self) -> Fraction:
        """Width over height of a pixel; 1 where the file does not say or makes no sense."""
        film = self._film
        aspect = film.sample_aspect_ratio or film.codec_context.sample_aspect_ratio
        # A claim of 100:1 would make a picture that no memory holds.
        if not aspect or not Fraction(1, 8) <= aspect <= 8:
            return Fraction(1)
        return Fraction(aspect)

    @property
    def average_fps(self) -> Fraction:
        """Pictures a second that the header claims; 25 where it makes no usable claim."""
        rate = self._film.average_rate or self._film.guessed_rate
        return rate if rate and 0 < rate <= 1000 else Fraction(25)

    @property
    def still(self) -> bool:
        """Whether this is one picture rather than a film."""
        return self.format in _STILLS or is_still(self._film)

    def missing_frames(self) -> int:
        """Pictures that the header promises, beyond the packets read since the last rewind.

        Meant for after the last packet. 0 where the header makes no promise, as where the
        sound may be what lasts longer.
        """
        read, promised = self.counters, self._film.frames
        if promised:
            if "mp4" in self.format and len(self._film.index_entries):
                # An edit list hides pictures that the header counts; the index has not got them.
                promised = min(promised, len(self._film.index_entries))
            return max(0, promised - read.packets)
        promised_s = promised_duration(self._film, self._av)
        if promised_s > read.clock_s + 1 and read.clock_s > 0:
            return round(read.packets * (promised_s / read.clock_s - 1))
        return 0

    # --- reading

    def rewind(self) -> None:
        """Start again at the first packet, with a decoder that has seen nothing."""
        if self._fresh:
            return
        self._av.close()
        self._av = _open(self._fd, b"", None)
        self._choose()
        self.counters = DemuxCounters()
        self._fresh = True

    def seek(self, pts: int) -> bool:
        """Go to the last place at or before `pts` where the demuxer can enter.

        False where it cannot: many AVI and FLV files have no index. Then it may be anywhere.
        """
        self._fresh = False
        try:
            self._av.seek(pts, stream=self._film)
        except (av.error.FFmpegError, OSError, ValueError):
            return False
        return True

    def packets(self) -> Iterator[av.Packet[VideoStream]]:
        """The film's packets in decode order, from here to the end.

        Errors of the demuxer are counted and read past. Empty packets are left out: a
        decoder takes one for the end of the film.

        Raises:
            TooLong: the packets run longer than the limit.
        """
        self._fresh = False
        counters = self.counters
        last: int | None = None
        for packet in self._demux():
            counters.packets += 1
            clock = packet.dts if packet.dts is not None else packet.pts
            if clock is None or last is None or self.time_base is None:
                gap = float(1 / self.average_fps)
            else:
                gap = max(0.0, float((clock - last) * self.time_base))
            counters.running_s += min(gap, LONGEST_GAP_S)
            counters.clock_s += gap
            last = clock if clock is not None else last
            longest = self.limits.max_duration_s
            if counters.running_s > longest + 1 or counters.packets > longest * _MAX_RATE:
                raise TooLong(limit_s=longest)
            yield packet
            if self.still:
                return

    def _demux(self) -> Iterator[av.Packet[VideoStream]]:
        errors = 0
        while errors < _MAX_DEMUX_ERRORS:
            try:
                for packet in self._av.demux(self._film):
                    if packet.size:
                        errors = 0
                        yield packet
            except (av.error.FFmpegError, OSError, ValueError):
                errors += 1
                self.counters.errors += 1
            else:
                return

    def decoder(self, *, strict: bool = False) -> Decoder:
        """The film's decoder, fresh after `rewind`.

        A strict one fails at damage that it would otherwise repair in silence.
        """
        self._fresh = False
        context = self._film.codec_context
        if not context.is_open:
            options = {
                "codec_whitelist": ",".join(sorted(DECODERS)),
                "max_pixels": str(self.limits.max_pixels + _ALIGNMENT),
            }
            if strict:
                options["err_detect"] = "explode"
            context.options = options
            context.thread_count = 1
        return Decoder(context, max_pixels=self.limits.max_pixels)

    @cached_property
    def probe(self) -> Probe:
        """The film's facts. Decodes up to its first picture, then rewinds.

        Raises:
            DecodeFailed, Truncated: there is no picture to be had.
        """
        frame = self._first_picture()
        self.rewind()
        film = self._film
        picture = upright(frame, self.sample_aspect)
        duration_s = duration_of(film, self._av)
        return Probe(
            format=self.format,
            codec=self.codec,
            width=picture.width,
            height=picture.height,
            rotation=quarter_turn(frame.rotation),
            sample_aspect=self.sample_aspect,
            average_fps=float(film.average_rate or 0),
            duration_s=duration_s,
            frames=1 if self.still else film.frames or round(duration_s * self.average_fps),
            pix_fmt=frame.format.name,
            other_streams=self._others,
            still=self.still,
        )

    def _first_picture(self) -> av.VideoFrame:
        self.rewind()
        decoder = self.decoder()
        for packet in self.packets():
            if frames := decoder.feed(packet).frames:
                return frames[0]
        if frames := decoder.feed(None).frames:
            return frames[0]
        claimed = self._film.frames
        if self.counters.errors or self.counters.packets < claimed or not self.counters.packets:
            raise Truncated
        raise DecodeFailed


def _open(fd: int, head: bytes, structure: Structure | None) -> InputContainer:
    os.lseek(fd, 0, os.SEEK_SET)
    options = {
        "fd": str(fd),
        "protocol_whitelist": "fd",
        "format_whitelist": FORMATS,
        "codec_whitelist": ",".join(sorted(DECODERS)),
    }
    with logged():
        try:
            return av.open("fd:", "r", options=options, metadata_errors="replace")
        except MemoryError as error:
            raise DecoderMemory from error
        # av raises more than its own errors, and which ones depends on the file.
        except Exception as error:
            cut = structure is not None and (structure.cut or not structure.has_index)
            if cut or (structure is None and head.startswith(_SIGNATURES)):
                raise Truncated from error
            raise NotAVideo from error
