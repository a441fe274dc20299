"""The film: which of a file's video streams is judged.

Not simply the one that FFmpeg calls best: that may be a cover, a thumbnail track, an alpha
plane, or a stream that nothing can decode. The film is the longest decodable stream that
is no attached picture; among equals the default one, then the largest.
"""

from __future__ import annotations

import math

from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from fimq.errors import NoVideoStream, UnsupportedCodec

#: Decoders that a film may use. Everything else stays out of reach of hostile bytes.
CODECS = frozenset({
    "h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg1video", "mpeg2video", "mjpeg", "prores",
    "gif", "apng", "png", "webp",
})  # fmt: skip
#: Names of decoders by which FFmpeg knows them; av1 is decoded by dav1d.
DECODERS = CODECS | {"libdav1d"}

_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails
#: Streams this near to the longest count as equally long.
_AS_LONG = 0.9


def choose_film(container: InputContainer) -> tuple[VideoStream, tuple[str, ...]]:
    """Return the film and the names of the other video streams.

    Raises:
        NoVideoStream: there are no moving pictures, at most a cover.
        UnsupportedCodec: there are, but none that may be decoded.
    """
    films = [stream for stream in container.streams.video if not stream.disposition & _NO_FILM]
    if not films:
        raise NoVideoStream
    whole = [stream for stream in films if not stream.disposition & Disposition.dependent]
    # A phone's HEIC is a grid of tiles and a thumbnail; neither is the picture.
    if len(whole) < len(films) and all(is_still(stream) for stream in whole):
        raise UnsupportedCodec("a picture made of tiles (HEIC) cannot be read", codec="tiles")
    decodable = [stream for stream in whole if codec_of(stream) in CODECS]
    if not decodable:
        names = ", ".join(sorted({codec_of(stream) for stream in whole}))
        raise UnsupportedCodec(f"the codec {names} is not built in or not allowed", codec=names)
    longest = max(duration_of(stream, container) for stream in decodable)
    film = max(
        (s for s in decodable if duration_of(s, container) >= _AS_LONG * longest),
        key=lambda stream: (
            bool(stream.disposition & Disposition.default),
            stream.codec_context.width * stream.codec_context.height,
            -stream.index,
        ),
    )
    others = tuple(_name(stream) for stream in container.streams.video if stream is not film)
    return film, others


def is_still(stream: VideoStream) -> bool:
    """Whether the header says that the stream is one picture (an AVIF or HEIC item)."""
    return stream.frames == 1 and stream.duration is None


def codec_of(stream: VideoStream) -> str:
    """The codec's canonical name, `unknown` where FFmpeg has no decoder for it."""
    # av gives None, against its own types, for a codec that is not built in.
    context: VideoCodecContext | None = stream.codec_context
    return "unknown" if context is None else str(context.codec.canonical_name)


def duration_of(stream: VideoStream, container: InputContainer) -> float:
    """Seconds that the header claims, 0 where it does not."""
    # Matroska has no length of a stream but this tag; the file's own would make a thumbnail
    # as long as the film beside it.
    if tagged := _tagged_duration(stream):
        return tagged
    if stream.duration and stream.time_base:
        return max(0.0, float(stream.duration * stream.time_base))
    if is_still(stream):
        return 0.0
    if stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)
    return max(0.0, (container.duration or 0) / 1_000_000)


def promised_duration(stream: VideoStream, container: InputContainer) -> float:
    """Seconds that the header claims for this stream and no other, 0 where it does not."""
    if len(container.streams) > 1:
        return _tagged_duration(stream)
    return duration_of(stream, container)


def _tagged_duration(stream: VideoStream) -> float:
    """Seconds by Matroska's tag, as 00:01:02.500000000; 0 where there is none or nonsense."""
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        length = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0
    return max(0.0, length) if math.isfinite(length) else 0.0


def _name(stream: VideoStream) -> str:
    codec = codec_of(stream)
    if codec == "unknown":
        return f"{stream.index}: {codec}"
    return f"{stream.index}: {codec} {stream.codec_context.width}x{stream.codec_context.height}"
