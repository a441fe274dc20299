"""Awkward and bad files, made on the spot: each one odd in one way, named by its maker."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from clips import Clip, pictures
from portraits import HEIGHT, WIDTH, Picture, one_colour, portrait, speaker

FRAMES = 40


# --- films

#: A film of one face; its derivatives differ in one thing.
FILM = Clip(
    frames=FRAMES,
    width=WIDTH,
    height=HEIGHT,
    gop=10,
    options={"preset": "ultrafast", "crf": "18"},
    content=speaker,
)
#: A film without any face.
SCENE = replace(FILM, content=None)


@cache
def film_bytes(suffix: str = "mp4", *, face: bool = True) -> bytes:
    """The film with its index in front, encoded once."""
    clip = FILM if face else SCENE
    muxer = {"movflags": "+faststart"} if suffix == "mp4" else {}
    with tempfile.TemporaryDirectory() as folder:
        return replace(clip, muxer=muxer).write(Path(folder) / f"film.{suffix}").read_bytes()


def cut(share: float, *, face: bool = True) -> Callable[[Path], Any]:
    """The film cut off after a share of its bytes; its index lies in front."""

    def make(path: Path) -> None:
        whole = film_bytes(face=face)
        path.write_bytes(whole[: int(len(whole) * share)])

    return make


def without_index(path: Path) -> None:
    """An upload that was cut: the index would have come at the end."""
    whole = FILM.write(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def index_alone(path: Path) -> None:
    whole = film_bytes()
    path.write_bytes(whole[: whole.index(b"mdat") + 4])


def header_alone(path: Path) -> None:
    path.write_bytes(film_bytes()[:32])


def damaged(kind: str) -> Callable[[Path], Any]:
    """The film with a hole of zeros, or with flipped bytes, in the middle of its pictures."""

    def make(path: Path) -> None:
        content = bytearray(film_bytes())
        start = content.index(b"mdat") + 8
        middle = start + (len(content) - start) // 2
        if kind == "zeroed":
            content[middle : middle + 3000] = bytes(3000)
        else:
            random = np.random.default_rng(5)
            for at in random.integers(middle, middle + 6000, 200):
                content[at] ^= int(random.integers(1, 256))
        path.write_bytes(content)

    return make


def lost_packets(path: Path) -> None:
    """A transport stream that lost some of its packets on the way."""
    whole = film_bytes("ts")
    packets = [whole[at : at + 188] for at in range(0, len(whole), 188)]
    middle = len(packets) // 2
    path.write_bytes(b"".join(packets[:middle] + packets[middle + 12 :]))


def remuxed(change: Callable[[int, bytes], bytes | None]) -> Callable[[Path], Any]:
    """The film with its packets changed, or left out where `change` gives None."""

    def make(path: Path) -> None:
        source = path.with_suffix(".source.mkv")
        source.write_bytes(film_bytes("mkv"))
        with av.open(source) as reading, av.open(path, "w", format="matroska") as writing:
            stream = writing.add_stream_from_template(reading.streams.video[0])
            for index, packet in enumerate(reading.demux(video=0)):
                content = change(index, bytes(packet)) if packet.size else None
                if content is None:
                    continue
                made = av.Packet(content)
                made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
                made.is_keyframe, made.stream = packet.is_keyframe, stream
                writing.mux(made)
        source.unlink()

    return make


def patched(change: Callable[[bytearray], None], clip: Clip = FILM) -> Callable[[Path], Any]:
    """A clip with bytes of its boxes changed."""

    def make(path: Path) -> None:
        content = bytearray(clip.write(path).read_bytes())
        change(content)
        path.write_bytes(content)

    return make


def put(name: bytes, offset: int, value: bytes) -> Callable[[bytearray], None]:
    """Write bytes at so many behind a box's name."""

    def change(content: bytearray) -> None:
        at = content.index(name) + 4 + offset
        content[at : at + len(value)] = value

    return change


def matrix(*values: float) -> Callable[[bytearray], None]:
    """Set the four numbers of the display matrix, and shift nothing."""
    a, b, c, d = (round(value * 65536) for value in values)
    return put(b"tkhd", 40, struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30))


def encrypted_entry(content: bytearray) -> None:
    at = content.index(b"avc1", content.index(b"stsd"))
    content[at : at + 4] = b"encv"


def encrypted_sinf(content: bytearray) -> None:
    at = content.index(b"btrt", content.index(b"stsd"))
    content[at : at + 4] = b"sinf"


def unknown_codec(content: bytearray) -> None:
    at = content.index(b"avc1", content.index(b"stsd"))
    content[at : at + 4] = b"zzzz"


def thousand_hours(content: bytearray) -> None:
    for name in (b"mvhd", b"mdhd"):
        put(name, 16, (3_600_000_000).to_bytes(4, "big"))(content)


def times_repeat(content: bytearray) -> None:
    """The third entry of the table of durations: these pictures all have one time."""
    at = content.index(b"stts") + 4
    assert int.from_bytes(content[at + 4 : at + 8], "big") >= 3
    content[at + 28 : at + 32] = (0).to_bytes(4, "big")


def edit_list(content: bytearray) -> None:
    """Begin seven pictures in."""
    at = content.index(b"elst")
    size = 8 if content[at + 4] else 4
    at += 12 + size
    media_time = int.from_bytes(content[at : at + size], "big") + 12800 // 25 * 7
    content[at : at + size] = media_time.to_bytes(size, "big")


def joined(*clips: Clip, suffix: str = "ts") -> Callable[[Path], Any]:
    def make(path: Path) -> None:
        part = path.with_suffix(f".part.{suffix}")
        path.write_bytes(b"".join(clip.write(part).read_bytes() for clip in clips))
        part.unlink()

    return make


def late_start(path: Path) -> None:
    """A transport stream whose first keyframe is gone."""
    whole = film_bytes("ts")
    path.write_bytes(whole[188 * 60 :])


def streams(*clips: Clip, sounds: int = 0, **extra: Any) -> Callable[[Path], Any]:
    """Several films, and silent sound, in one Matroska file. `extra` sets disposition, tags."""

    def make(path: Path) -> None:
        with av.open(path, "w", format="matroska") as container:
            container.metadata.update(extra.get("metadata", {}))
            films = []
            for number, clip in enumerate(clips):
                film = container.add_stream(clip.codec, rate=clip.fps, options=clip.options)
                film.width, film.height, film.pix_fmt = clip.width, clip.height, clip.pix_fmt
                film.codec_context.time_base = Fraction(1, clip.fps)
                film.disposition = extra.get("dispositions", {}).get(
                    number, av.stream.Disposition(0)
                )
                films.append(film)
            tracks = [
                container.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(sounds)
            ]
            if chapters := extra.get("chapters", 0):
                container.set_chapters(
                    [
                        {
                            "id": number + 1,
                            "start": number,
                            "end": number + 1,
                            "time_base": Fraction(1, 1_000_000),
                            "metadata": {"title": f"{number}"},
                        }
                        for number in range(chapters)
                    ]
                )
            for track in tracks:
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
                frame.sample_rate, frame.pts = 8000, 0
                container.mux(track.encode(frame))
            for film, clip in zip(films, clips, strict=True):
                content = (clip.content or pictures)(clip.frames, clip.width, clip.height)
                for index, picture in enumerate(content):
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    frame = frame.reformat(format=clip.pix_fmt)
                    frame.pts, frame.time_base = index, Fraction(1, clip.fps)
                    container.mux(film.encode(frame))
                container.mux(film.encode(None))

    return make


def many_large_pictures(path: Path) -> None:
    """A small file of 500 4K pictures of one colour that run for half a second.

    One group of pictures is encoded; the others are copies of its packets.
    """
    group = path.with_suffix(".group.mkv")
    options = {"preset": "ultrafast", "crf": "40"}
    Clip(frames=50, width=3840, height=2160, gop=50, options=options, content=one_colour).write(
        group
    )
    with av.open(group) as reading, av.open(path, "w", format="matroska") as writing:
        source = reading.streams.video[0]
        packets = [(bytes(p), p.is_keyframe) for p in reading.demux(source) if p.size]
        stream = writing.add_stream_from_template(source)
        for index in range(500):
            content, key = packets[index % 50]
            packet = av.Packet(content)
            packet.pts = packet.dts = index
            packet.time_base, packet.is_keyframe, packet.stream = Fraction(1, 1000), key, stream
            writing.mux(packet)
    group.unlink()


# --- stills and animations


def still(picture: Callable[[], Picture] = portrait, **options: Any) -> Callable[[Path], Any]:
    return lambda path: Image.fromarray(picture()).save(path, **options)


def transparent(path: Path) -> None:
    """The portrait in every pixel, and nothing to be seen of it."""
    alpha = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    Image.fromarray(np.concatenate([portrait(), alpha], axis=2)).save(path)


def animation(kind: str) -> Callable[[Path], Any]:
    def make(path: Path) -> None:
        first, *more = (Image.fromarray(frame) for frame in speaker(12, WIDTH, HEIGHT))
        first.save(path, kind, save_all=True, append_images=more, duration=100)

    return make


def motion_photo(path: Path) -> None:
    """A phone's photo with a film behind it."""
    Image.fromarray(portrait()).save(path, "JPEG")
    path.write_bytes(path.read_bytes() + film_bytes())


def large_still(width: int, height: int) -> Callable[[Path], Any]:
    return lambda path: Image.new("RGB", (width, height), (30, 60, 90)).save(path, quality=30)


def content(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


def sequence(codec: str, pix_fmt: str, clip: Clip = FILM) -> Clip:
    """Pictures that each stand for themselves, as a film."""
    return replace(clip, codec=codec, pix_fmt=pix_fmt, options={})


def at_times(times: Sequence[float], **fields: Any) -> Clip:
    """The film with its pictures shown at these seconds."""
    clip = replace(FILM, frames=len(times), **fields)
    return replace(clip, pts=[round(time * clip.fps * 100) for time in times])
