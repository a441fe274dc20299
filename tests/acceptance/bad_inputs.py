"""The table of bad and awkward inputs: each file, how it is made, and its one expected end."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import awkward
from awkward import FILM, HEIGHT, SCENE, WIDTH, portrait
from clips import write_sound_only
from fimq.ledger.tables import Face, Job, Sample, Track, VerdictRow

Disposition = av.stream.Disposition

#: Outcomes of a face that the model takes for a real one.
CLEAR = ("no_manipulation_found", None)
FEW = ("uncertain", "too_few_faces")
CUT = ("uncertain", "low_coverage")
FORGED = ("manipulated", None)
NO_FACE = ("not_applicable", "no_face")
TOO_SMALL = ("not_applicable", "faces_too_small")
UNUSABLE = ("not_applicable", "faces_unusable")


@dataclass
class Found:
    """One file's end, from everywhere."""

    document: dict[str, Any]
    samples: list[Sample] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    verdict: VerdictRow | None = None
    job: Job | None = None
    reports: list[dict[str, Any]] = field(default_factory=list)

    @property
    def frames(self) -> list[int]:
        return [sample.frame_index for sample in self.samples]

    @property
    def times(self) -> list[float]:
        return [sample.time_s for sample in self.samples]

    def is_where(self, x: float, y: float, width: float, height: float) -> bool:
        """Whether the first face of every sample is about here."""
        return bool(self.faces) and all(
            math.hypot(
                face.box[0] + face.box[2] / 2 - (x + width / 2) - 2,
                face.box[1] + face.box[3] / 2 - (y + height / 2),
            )
            < width / 4
            and 0.7 < face.box[2] / width < 1.4
            for face in self.faces
            if face.ordinal == 0
        )


Check = Callable[[Found], bool]


@dataclass(frozen=True)
class Row:
    """A file, how it is made, and its one expected end: a code, or one of these outcomes."""

    name: str
    make: Callable[[Path], Any]
    ends: str | tuple[str, str | None] | Sequence[tuple[str, str | None]] = CLEAR
    check: Check | None = None
    model: str | None = None
    broken: str | None = None  #: why the row does not hold yet

    @property
    def outcomes(self) -> Sequence[tuple[str, str | None]]:
        return [self.ends] if isinstance(self.ends[0], str) else self.ends  # type: ignore[list-item, return-value]


def at_face(found: Found) -> bool:
    return found.is_where(*awkward.FACE)


def samples(*frames: int) -> Check:
    return lambda found: found.frames == list(frames)


def count(number: int) -> Check:
    return lambda found: len(found.samples) == number


def is_damaged(found: Found) -> bool:
    bad = {sample.frame_index for sample in found.samples if sample.state == "damaged"}
    return bool(bad) and not any(face.frame_index in bad for face in found.faces)


def is_cut(found: Found) -> bool:
    return found.document["coverage"] < 0.95 and len(found.samples) > 0


def is_less(found: Found) -> bool:
    """Damaged pictures are marked, or are not there; neither is scored."""
    return found.document["coverage"] < 0.95


def estimated(found: Found) -> bool:
    return any(sample.quality["time_estimated"] for sample in found.samples)


def others(number: int) -> Check:
    """The video that was judged is the speaker's; so many other streams are named."""
    return lambda found: at_face(found) and len(found.document["video"]["other_streams"]) == number


X264 = {"preset": "veryfast"}
THUMBNAIL = replace(SCENE, codec="mjpeg", pix_fmt="yuvj420p", frames=1, options={})

FAILED = [
    Row("sound.mp4", write_sound_only, "no_video_stream"),
    Row("cover.mp4", lambda path: write_sound_only(path, cover=True), "no_video_stream"),
    Row("without-index.mp4", awkward.without_index, "truncated"),
    Row("index-alone.mp4", awkward.index_alone, "truncated"),
    Row("header-alone.mp4", awkward.header_alone, "truncated"),
    Row("off-the-list.mkv", replace(FILM, codec="ffv1", options={}).write, "unsupported_codec"),
    Row("not-built-in.mp4", awkward.patched(awkward.unknown_codec), "unsupported_codec"),
    Row("encv.mp4", awkward.patched(awkward.encrypted_entry), "encrypted"),
    Row("sinf.mp4", awkward.patched(awkward.encrypted_sinf), "encrypted"),
    Row("noise.mp4", awkward.content(bytes(range(128, 256)) * 50), "not_a_video"),
]

WORKS = [
    Row("plain.mp4", FILM.write, CLEAR, at_face),
    Row("many-large-pictures.mkv", awkward.many_large_pictures, NO_FACE),
    Row(
        "tags-not-utf8.mp4",
        lambda path: path.write_bytes(
            replace(FILM, metadata={"title": "@@@@@@@@"})
            .write(path)
            .read_bytes()
            .replace(b"@@@@@@@@", b"\xff\xfe\xe9\xe8@@@@")
        ),
        CLEAR,
        at_face,
    ),
    Row(
        "garbage-packets.mkv",
        awkward.remuxed(lambda i, data: os.urandom(len(data)) if 14 <= i < 19 else data),
        (CLEAR, CUT),
    ),
    Row(
        "packet-with-a-tail.mkv",
        awkward.remuxed(lambda i, data: data + b"\x00\x00\xff\xff\x65" if i == 12 else data),
        (CLEAR, CUT),
        samples(0, 6, 12, 18, 24, 30, 36),
    ),
    Row(
        "thumbnail-first.mkv",
        awkward.streams(THUMBNAIL, FILM, dispositions={0: Disposition.default}),
        CLEAR,
        others(1),
    ),
    Row(
        "long-film-second.mkv",
        awkward.streams(replace(SCENE, frames=5), FILM, dispositions={0: Disposition.default}),
        CLEAR,
        others(1),
    ),
    Row(
        "undecodable-first.mkv",
        awkward.streams(replace(SCENE, codec="ffv1", options={}, frames=60), FILM),
        CLEAR,
        others(1),
    ),
    Row(
        "several-films.mkv",
        awkward.streams(SCENE, FILM, SCENE, dispositions={1: Disposition.default}),
        CLEAR,
        others(2),
    ),
    Row("motion-photo.jpg", awkward.motion_photo, FEW, count(1)),
    Row("matrix-of-zeros.mp4", awkward.patched(awkward.matrix(0, 0, 0, 0)), CLEAR, at_face),
    Row(
        "matrix-of-nonsense.mp4",
        awkward.patched(awkward.matrix(3e4, -3e4, 1e-5, 2e4)),
        (CLEAR, UNUSABLE, NO_FACE),
    ),
    Row(
        "no-time-base.mp4",
        awkward.patched(
            awkward.put(b"mdhd", 12, bytes(4)), replace(FILM, muxer={"use_editlist": "0"})
        ),
        CLEAR,
        at_face,
    ),
    Row(
        "times-repeat.mp4",
        awkward.patched(
            awkward.times_repeat,
            awkward.at_times([i / 25 if i < 20 else i / 12.5 for i in range(40)]),
        ),
        CLEAR,
        lambda found: at_face(found) and estimated(found) and found.times == sorted(found.times),
    ),
    *(Row(f"cut-at-{share}.mp4", awkward.cut(share / 100), CUT, is_cut) for share in (30, 60, 95)),
    Row("faceless-cut-at-60.mp4", awkward.cut(0.6, face=False), CUT, is_cut),
    *(Row(f"{kind}.mp4", awkward.damaged(kind), CUT, is_less) for kind in ("zeroed", "flipped")),
    Row("lost-packets.ts", awkward.lost_packets, CUT, is_damaged),
    Row(
        "missing-reference.mkv",
        awkward.remuxed(lambda i, data: None if i == 11 else data),
        (CLEAR, CUT),
    ),
    Row("cut-away-start.ts", awkward.late_start, (CLEAR, CUT)),
    *(
        Row(f"still.{kind}", awkward.still(), FEW, count(1))
        for kind in ("jpg", "png", "webp", "avif")
    ),
    Row("animation.gif", awkward.animation("GIF"), CLEAR, count(12)),
    Row("animation.png", awkward.animation("PNG"), CLEAR, count(12)),
    Row(
        "animation.webp",
        awkward.animation("WEBP"),
        CLEAR,
        count(12),
        broken="the FFmpeg inside PyAV 18.1 has no decoder for animated WebP: unsupported_codec",
    ),
    Row("motion.avi", awkward.sequence("mjpeg", "yuvj420p").write, CLEAR, at_face),
    Row("motion.mjpeg", awkward.sequence("mjpeg", "yuvj420p").write, CLEAR, at_face),
    Row("sequence.mkv", awkward.sequence("mjpeg", "yuvj420p").write, CLEAR, at_face),
    Row(
        "641x361.mkv",
        replace(FILM, width=641, height=361, pix_fmt="yuv444p").write,
        CLEAR,
    ),
    Row("16x16.mp4", replace(FILM, width=16, height=16).write, NO_FACE),
    Row("1x1.png", awkward.still(lambda: np.zeros((1, 1, 3), np.uint8)), NO_FACE),
    Row("1x1.gif", awkward.still(lambda: np.zeros((1, 1, 3), np.uint8)), NO_FACE),
    Row("8k.jpg", awkward.large_still(7680, 4320), NO_FACE),
    Row(
        "other-size.ts",
        awkward.joined(FILM, replace(FILM, width=480, height=360)),
        CLEAR,
        lambda found: {sample.quality["width"] for sample in found.samples} == {320, 480},
    ),
    Row(
        "other-format.ts",
        awkward.joined(
            *(
                replace(FILM, codec="mpeg2video", options={"b": "4M"}, pix_fmt=pix_fmt)
                for pix_fmt in ("yuv420p", "yuv422p")
            )
        ),
        CLEAR,
        at_face,
    ),
    *(
        Row(
            f"turned-by-{90 * quarter}.mp4",
            replace(
                FILM,
                width=(WIDTH, HEIGHT)[quarter % 2],
                height=(HEIGHT, WIDTH)[quarter % 2],
                rotation=90 * quarter,
                content=awkward.lying(quarter),
            ).write,
            CLEAR,
            lambda found: (
                at_face(found)
                and (found.document["video"]["width"], found.document["video"]["height"])
                == (WIDTH, HEIGHT)
            ),
        )
        for quarter in (1, 2, 3)
    ),
    Row(
        "mirrored.mp4",
        awkward.patched(awkward.matrix(-1, 0, 0, 1)),
        CLEAR,
        lambda found: found.is_where(
            WIDTH - awkward.FACE[0] - awkward.FACE[2] - 4, *awkward.FACE[1:]
        ),
    ),
    Row(
        "non-square.mp4",
        replace(
            FILM,
            width=WIDTH // 2,
            options={**FILM.options, "aspect": "2:1"},
        ).write,
        CLEAR,
        at_face,
    ),
    Row(
        "variable-rate.mkv",
        awkward.at_times(list(np.cumsum(np.random.default_rng(3).uniform(0.01, 0.4, 40)))).write,
        CLEAR,
        samples(0, 6, 12, 18, 24, 30, 36),
    ),
    Row("slow.mkv", awkward.at_times([10.0 * i for i in range(20)], fps=1).write, CLEAR, at_face),
    Row("fast.mkv", replace(FILM, fps=1000).write, CLEAR, at_face),
    Row(
        "negative-start.mkv",
        awkward.at_times([i / 25 - 0.28 for i in range(40)]).write,
        CLEAR,
        lambda found: found.times[0] == 0,
    ),
    Row(
        "edit-list.mp4",
        awkward.patched(
            awkward.edit_list,
            replace(FILM, options=X264, muxer={"use_editlist": "1"}),
        ),
        CLEAR,
        lambda found: found.times[0] == 0,
    ),
    Row("no-times.h264", replace(FILM, format="h264").write, CLEAR, estimated),
    Row(
        "no-times.avi", replace(FILM, codec="mpeg4", options={"b": "3000000"}).write, CLEAR, at_face
    ),
    Row(
        "clock-jumps.mkv",
        awkward.at_times([i / 25 + (90_000 if i > 20 else 0) for i in range(40)]).write,
        CLEAR,
        samples(0, 6, 12, 18, 24, 30, 36),
    ),
    Row(
        "clock-wraps.ts",
        awkward.at_times([2**33 / 90_000 - 2.2 + i / 25 for i in range(40)]).write,
        CLEAR,
        lambda found: found.times[-1] == pytest.approx(1.44, abs=0.01),
    ),
    Row("one-keyframe.mp4", replace(FILM, gop=1000).write, CLEAR, at_face),
    Row("all-keyframes.mp4", replace(FILM, gop=1).write, CLEAR, at_face),
    Row(
        "open-groups.mkv",
        replace(
            FILM, gop=None, options={**X264, "x264-params": "open-gop=1:bframes=3:keyint=12"}
        ).write,
        CLEAR,
        samples(0, 6, 12, 18, 24, 30, 36),
    ),
    Row(
        "leading-pictures.mp4",
        replace(
            FILM,
            codec="libx265",
            gop=None,
            options={
                "preset": "ultrafast",
                "x265-params": "open-gop=1:bframes=3:keyint=12:log-level=none:pools=1",
            },
        ).write,
        CLEAR,
        samples(0, 6, 12, 18, 24, 30, 36),
    ),
    *(
        Row(f"{pix_fmt}.mkv", replace(FILM, pix_fmt=pix_fmt).write, CLEAR, at_face)
        for pix_fmt in ("yuv420p10le", "yuv422p", "yuv444p", "yuvj420p", "gray")
    ),
    *(
        Row(
            f"{pix_fmt}-{transfer}.mkv",
            replace(
                FILM,
                codec="libx265",
                pix_fmt=pix_fmt,
                gop=None,
                options={
                    "preset": "ultrafast",
                    "x265-params": "keyint=20:log-level=none:pools=1:colorprim=bt2020"
                    f":transfer={transfer}:colormatrix=bt2020nc",
                },
            ).write,
            CLEAR,
            at_face,
        )
        for pix_fmt, transfer in (("yuv420p12le", "smpte2084"), ("yuv420p10le", "arib-std-b67"))
    ),
    Row("with-alpha.mov", awkward.sequence("prores_ks", "yuva444p10le").write, CLEAR, at_face),
    Row("transparent.png", awkward.transparent, NO_FACE),
    Row(
        "interlaced.mp4",
        replace(FILM, options={**X264, "x264-params": "interlaced=1"}).write,
        CLEAR,
        at_face,
    ),
    Row("hundred-streams.mkv", awkward.streams(FILM, sounds=99), CLEAR, at_face),
    Row("many-chapters.mkv", awkward.streams(FILM, chapters=100_000), CLEAR, at_face),
    Row(
        "long-tag.mkv",
        awkward.streams(FILM, metadata={"comment": "x" * 10_000_000}),
        CLEAR,
        at_face,
    ),
    Row(
        "ten-hours-of-black.mp4",
        replace(
            FILM,
            frames=1440,
            width=64,
            height=48,
            fps=1,
            gop=250,
            content=awkward.black,
            pts=[2500 * index for index in range(1440)],
        ).write,
        NO_FACE,
        lambda found: len(found.samples) == 58 and found.times[-1] == pytest.approx(35_625),
    ),
    Row("scene.mp4", SCENE.write, NO_FACE),
    Row(
        "smiley.mp4",
        replace(FILM, content=awkward.of(awkward.cartoon())).write,
        (NO_FACE, UNUSABLE),
        broken="the face finder takes a drawn smiley for a face, with scores about .6",
    ),
    Row("small-face.mp4", replace(FILM, content=awkward.of(awkward.small_face())).write, TOO_SMALL),
    Row(
        "half-a-face.mp4",
        replace(FILM, content=awkward.of(awkward.window(141, 0, 160, 120))).write,
        (NO_FACE, UNUSABLE, FEW),
        lambda found: all(face.quality < 0.2 for face in found.faces),
    ),
    Row(
        "upside-down.mp4",
        replace(FILM, content=awkward.of(portrait()[::-1].copy())).write,
        (NO_FACE, UNUSABLE),
    ),
    Row(
        "comes-and-goes.mp4",
        replace(FILM, content=awkward.comes_and_goes).write,
        CLEAR,
        lambda found: (
            {face.frame_index for face in found.faces} == {12, 18, 24, 36}
            and (found.tracks[0].first_frame, found.tracks[0].last_frame) == (12, 24)
        ),
    ),
    *(
        Row(
            f"two-who-swap-{first}.mp4",
            replace(FILM, width=2 * WIDTH, content=awkward.swapping(first=first)).write,
            (FORGED, ("uncertain", "between_thresholds"), ("uncertain", "too_little_support")),
        )
        for first in (True, False)
    ),
    Row(
        "fills-the-picture.mp4",
        replace(FILM, content=awkward.of(awkward.window(100, 40, 84, 63))).write,
        (CLEAR, UNUSABLE),
        lambda found: bool(found.faces),
    ),
    Row(
        "sixty-faces.mp4",
        replace(FILM, frames=6, width=1280, height=768, content=awkward.of(awkward.crowd())).write,
        CLEAR,
        lambda found: (
            found.document["counts"]["faces_found"] >= 6 * 55
            and found.document["counts"]["faces_scored"] <= 6 * 20
        ),
    ),
    Row(
        "over-the-edge.mp4",
        replace(FILM, content=awkward.of(awkward.window(118, 20, 160, 120))).write,
        (CLEAR, UNUSABLE),
        lambda found: bool(found.faces) and found.faces[0].box[0] < 10,
    ),
    Row(
        "one-blue-of-forty.mp4",
        replace(FILM, content=awkward.one_blue).write,
        CLEAR,
    ),
    Row(
        "two-persons-one-forged.mp4",
        replace(FILM, width=2 * WIDTH, content=awkward.two_persons).write,
        FORGED,
        lambda found: found.verdict is not None and found.verdict.track == 1,
    ),
    Row(
        "forged.mp4",
        replace(FILM, content=awkward.of(awkward.blue(portrait()))).write,
        FORGED,
    ),
    Row(
        "forged-cut-at-60.mp4",
        lambda path: path.write_bytes(
            (
                whole := replace(
                    FILM,
                    content=awkward.of(awkward.blue(portrait())),
                    muxer={"movflags": "+faststart"},
                )
                .write(path)
                .read_bytes()
            )[: len(whole) * 6 // 10]
        ),
        FORGED,
        is_cut,
    ),
]

#: Rows of a model that cannot be used.
MODELS = [
    Row("short-model.mp4", FILM.write, "model_invalid", model="short"),
    Row("other-hash.mp4", FILM.write, "model_invalid", model="other-hash"),
    Row("wrong-classes.mp4", FILM.write, "model_invalid", model="wrong-classes"),
    Row("nan-model.mp4", FILM.write, "model_invalid", model="nan"),
]

#: By FIMQ_MIN_SAMPLES=1, which turns the halving of the stride off.
LENGTHS = [
    Row(
        f"{frames}-frames.mp4",
        replace(FILM, frames=frames).write,
        FEW,
        samples(*range(0, frames, 25)),
    )
    for frames in (1, 24, 25, 26, 51)
]

#: By small limits of pixels and running time.
LIMITS = [
    Row("too-large.mp4", replace(FILM, width=402, height=304).write, "too_many_pixels"),
    Row("as-large-as-allowed.mp4", replace(FILM, width=400, height=304).write, CLEAR),
    Row(
        "large-later.ts",
        awkward.joined(*[FILM] * 5, replace(FILM, width=640, height=480)),
        "too_many_pixels",
    ),
    Row("too-large.jpg", awkward.large_still(402, 304), "too_many_pixels"),
    Row("too-long.mp4", replace(SCENE, frames=290).write, "too_long"),
    Row("long-enough.mp4", replace(SCENE, frames=250).write, NO_FACE),
    Row("thousand-hours.mp4", awkward.patched(awkward.thousand_hours), CLEAR, at_face),
]

CHECKED = [*FAILED, *WORKS, *MODELS, *LENGTHS, *LIMITS]
