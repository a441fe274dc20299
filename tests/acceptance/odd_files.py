"""The rows of files that are odd in their container, codec, clock or size, and yet are judged."""

from __future__ import annotations

import os
from dataclasses import replace

import av
import numpy as np
import pytest
from expected import (
    CLEAR,
    CUT,
    FEW,
    NO_FACE,
    UNUSABLE,
    Row,
    at_face,
    count,
    estimated,
    is_cut,
    is_damaged,
    is_less,
    others,
    samples,
)

import awkward
import portraits
from awkward import FILM, SCENE
from portraits import HEIGHT, WIDTH

Disposition = av.stream.Disposition

X264 = {"preset": "veryfast"}
THUMBNAIL = replace(SCENE, codec="mjpeg", pix_fmt="yuvj420p", frames=1, options={})

ODD = [
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
                content=portraits.lying(quarter),
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
            WIDTH - portraits.FACE[0] - portraits.FACE[2] - 4, *portraits.FACE[1:]
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
            content=portraits.black,
            pts=[2500 * index for index in range(1440)],
        ).write,
        NO_FACE,
        lambda found: len(found.samples) == 58 and found.times[-1] == pytest.approx(35_625),
    ),
]
