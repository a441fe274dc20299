"""The sparse sampler and the spans of a film against decoding every packet."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from clips import Clip
from fimq_worker.vision.container import Container, open_video
from fimq_worker.vision.sampler.base import Counters, SampledFrame, Sampling, Span
from fimq_worker.vision.sampler.decode_all import DecodeAll
from fimq_worker.vision.sampler.spans import plan_film
from fimq_worker.vision.sampler.sparse import Sparse

#: A picture: index, PTS, time, whether that is estimated, damage, and its planes' checksum.
Seen = tuple[int, int | None, float, bool, bool, int]


def seen(frames: Iterable[SampledFrame]) -> list[Seen]:
    return [
        (f.frame_index, f.pts, f.time_s, f.time_estimated, f.damaged, checksum(f)) for f in frames
    ]


def checksum(sampled: SampledFrame) -> int:
    frame, value = sampled.frame, 0
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        wide = plane.width * (plane.line_size // max(1, plane.width) or 1)
        value = zlib.crc32(rows[:, : min(wide, plane.width)].tobytes(), value)
    return value


def reference(container: Container, sampling: Sampling) -> list[Seen]:
    return seen(DecodeAll().sample(container, sampling))


def sparse(container: Container, sampling: Sampling) -> tuple[list[Seen], Counters]:
    sampler = Sparse()
    return seen(sampler.sample(container, sampling)), sampler.counters


def by_spans(container: Container, sampling: Sampling, segment_s: float) -> list[Seen]:
    pictures: list[Seen] = []
    for span in plan_film(container, sampling, segment_s=segment_s).spans:
        again = Span.from_dict(span.to_dict())
        pictures += seen(Sparse().sample(container, sampling, again))
    return pictures


def check(path: Path, samplings: Iterable[str], *, fallback: bool | None = None) -> Counters:
    with open_video(path) as container:
        for text in samplings:
            sampling = Sampling.parse(text)
            expected = reference(container, sampling)
            found, counters = sparse(container, sampling)
            assert found == expected, text
            assert by_spans(container, sampling, 0.4) == expected, text
            if fallback is not None:
                assert (counters.fallback_reason is not None) == fallback, counters
    return counters


EVERY = Sampling("every", 25)
SAMPLINGS = ["every:1", "every:2", "every:5", "every:12", "every:25", "fps:3", "keyframes"]
X264 = {"preset": "veryfast"}
X265 = {"preset": "ultrafast", "x265-params": "log-level=none"}
VP9 = {"deadline": "realtime", "cpu-used": "8"}
SVT = {"preset": "12", "svtav1-params": "keyint=24"}

KINDS = {
    "h264": (Clip(options=X264, gop=12, b_frames=3), "mp4"),
    "h264-one-gop": (Clip(options=X264, gop=250, b_frames=3), "mkv"),
    "h264-no-b": (Clip(options={**X264, "tune": "zerolatency"}, gop=20, b_frames=0), "mp4"),
    "h264-open": (Clip(options={**X264, "x264-params": "open-gop=1:keyint=10:bframes=3"}), "mp4"),
    "h264-ts": (Clip(options=X264, gop=12), "ts"),
    "h264-flv": (Clip(options=X264, gop=12), "flv"),
    "h264-fragments": (
        Clip(options=X264, gop=10, muxer={"movflags": "frag_keyframe+empty_moov"}),
        "mp4",
    ),
    "hevc": (Clip(codec="libx265", options=X265, gop=12), "mp4"),
    "hevc-open": (
        Clip(
            codec="libx265",
            options={
                "preset": "medium",
                "x265-params": "log-level=none:open-gop=1:keyint=12:bframes=4",
            },
        ),
        "mkv",
    ),
    "hevc-closed-ts": (
        Clip(
            codec="libx265",
            options={"preset": "medium", "x265-params": "log-level=none:open-gop=0:keyint=12"},
        ),
        "ts",
    ),
    "vp9": (Clip(codec="libvpx-vp9", options=VP9, gop=15), "webm"),
    "vp9-altref": (
        Clip(
            codec="libvpx-vp9",
            options={
                "deadline": "good",
                "cpu-used": "5",
                "auto-alt-ref": "1",
                "lag-in-frames": "16",
            },
            gop=30,
        ),
        "webm",
    ),
    "av1": (Clip(codec="libsvtav1", options=SVT), "mp4"),
    "av1-mkv": (Clip(codec="libsvtav1", options=SVT), "mkv"),
    "mpeg4": (Clip(codec="mpeg4", gop=12, b_frames=0), "mp4"),
    "mpeg4-b": (Clip(codec="mpeg4", gop=12, b_frames=2), "mp4"),
    "mpeg2": (Clip(codec="mpeg2video", gop=12, b_frames=2), "ts"),
    "mpeg1-ps": (Clip(codec="mpeg1video", gop=12, b_frames=2), "mpg"),
    "mjpeg": (Clip(codec="mjpeg", pix_fmt="yuvj420p"), "avi"),
    "mjpeg-mov": (Clip(codec="mjpeg", pix_fmt="yuvj420p"), "mov"),
    "prores": (Clip(codec="prores_ks", pix_fmt="yuv422p10le"), "mov"),
}


class TestEveryCodec:
    """The index, PTS, time and every plane of each sample are those of decoding all."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_samples_are_those_of_decoding_all(self, tmp_path: Path, kind: str) -> None:
        clip, suffix = KINDS[kind]
        path = replace(clip, frames=60).write(tmp_path / f"clip.{suffix}")
        check(path, SAMPLINGS, fallback=False)

    @pytest.mark.parametrize("codec", ["libvpx", "gif"])
    def test_what_cannot_be_skipped_is_decoded(self, tmp_path: Path, codec: str) -> None:
        suffix, pix_fmt = ("webm", "yuv420p") if codec == "libvpx" else ("gif", "rgb8")
        path = Clip(codec=codec, pix_fmt=pix_fmt).write(tmp_path / f"clip.{suffix}")
        check(path, SAMPLINGS, fallback=True)

    @pytest.mark.parametrize("frames", [1, 2, 24, 25, 26, 51])
    def test_films_of_few_pictures(self, tmp_path: Path, frames: int) -> None:
        path = Clip(frames=frames, options=X264).write(tmp_path / "clip.mp4")
        check(path, SAMPLINGS, fallback=False)
        with open_video(path) as container:
            assert plan_film(container, EVERY).frames == frames

    def test_less_is_decoded(self, tmp_path: Path) -> None:
        path = Clip(frames=200, options=X264, gop=12, b_frames=3).write(tmp_path / "clip.mp4")
        with open_video(path) as container:
            _, counters = sparse(container, Sampling("every", 25))
        assert counters.planned == 8
        assert counters.decoded < 0.3 * counters.packets

    def test_packets_beyond_the_limit_are_read_twice(self, tmp_path: Path) -> None:
        path = Clip(options=X264).write(tmp_path / "clip.mp4")
        with open_video(path) as container:
            sampling = Sampling("every", 5)
            few = Sparse(kept_bytes=1000)
            assert seen(few.sample(container, sampling)) == reference(container, sampling)
            assert few.counters.fallback_reason is None


class TestOddFiles:
    """Times and containers that lead other samplers astray."""

    def test_a_variable_rate(self, tmp_path: Path) -> None:
        steps = np.random.default_rng(3).integers(20, 900, 60)
        pts = [int(value) for value in np.cumsum(steps)]
        for suffix in ("mp4", "mkv"):
            path = Clip(frames=60, pts=pts, options=X264, gop=9).write(tmp_path / f"clip.{suffix}")
            check(path, SAMPLINGS, fallback=False)

    def test_a_negative_start(self, tmp_path: Path) -> None:
        pts = [index * 100 - 700 for index in range(60)]
        for suffix in ("mp4", "mkv", "ts"):
            path = Clip(frames=60, pts=pts, options=X264, gop=9).write(tmp_path / f"clip.{suffix}")
            check(path, SAMPLINGS)

    def test_an_edit_list_that_hides_the_beginning(self, tmp_path: Path) -> None:
        clip = Clip(frames=60, options=X264, gop=12, muxer={"use_editlist": "1"})
        path = clip.write(tmp_path / "clip.mp4")
        content = bytearray(path.read_bytes())
        at = content.index(b"elst")
        version, entry = content[at + 4], at + 12
        size = 8 if version else 4
        time_at = entry + size
        media_time = int.from_bytes(content[time_at : time_at + size], "big")
        hidden = media_time + 12800 // 25 * 7  # seven pictures in
        content[time_at : time_at + size] = hidden.to_bytes(size, "big")
        path.write_bytes(content)
        check(path, SAMPLINGS, fallback=False)
        with open_video(path) as container:
            plan = plan_film(container, EVERY)
        assert plan.frames == plan.expected_frames < 60

    @pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
    def test_joined_and_cut_transport_streams(self, tmp_path: Path, codec: str) -> None:
        first = Clip(codec=codec, frames=40, gop=12).write(tmp_path / "a.ts").read_bytes()
        second = Clip(codec=codec, frames=30, gop=12).write(tmp_path / "b.ts").read_bytes()
        (tmp_path / "joined.ts").write_bytes(first + second)
        check(tmp_path / "joined.ts", SAMPLINGS)
        (tmp_path / "cut.ts").write_bytes(first[188 * 20 :])
        check(tmp_path / "cut.ts", SAMPLINGS)

    def test_another_size_in_mid_stream(self, tmp_path: Path) -> None:
        first = Clip(frames=30, options=X264).write(tmp_path / "a.ts").read_bytes()
        second = Clip(frames=30, width=96, height=80, options=X264).write(tmp_path / "b.ts")
        (tmp_path / "joined.ts").write_bytes(first + second.read_bytes())
        check(tmp_path / "joined.ts", ["every:4"], fallback=True)

    def test_rotation_changes_nothing(self, tmp_path: Path) -> None:
        check(
            Clip(rotation=90, options=X264).write(tmp_path / "clip.mp4"),
            ["every:5"],
            fallback=False,
        )

    def test_interlaced_film_is_decoded_in_full(self, tmp_path: Path) -> None:
        clip = Clip(options={**X264, "x264-params": "interlaced=1"}, width=64, height=64)
        counters = check(clip.write(tmp_path / "clip.mp4"), ["every:5"], fallback=True)
        assert counters.fallback_reason == "interlaced coding"

    def test_h264_in_avi_is_decoded_in_full(self, tmp_path: Path) -> None:
        check(Clip(options=X264).write(tmp_path / "clip.avi"), ["every:5"], fallback=True)


class TestSpans:
    def test_a_film_is_cut_at_keyframes(self, tmp_path: Path) -> None:
        path = Clip(frames=100, codec="mpeg4", gop=10).write(tmp_path / "clip.mp4")
        with open_video(path) as container:
            plan = plan_film(container, EVERY, segment_s=1)
        assert [span.first_frame for span in plan.spans] == [0, 30, 60, 90]
        assert [span.last_frame for span in plan.spans] == [29, 59, 89, 99]
        assert plan.running_s == pytest.approx(4, abs=0.1)
        assert sum(span.running_s for span in plan.spans) == pytest.approx(4, abs=0.1)

    def test_a_film_that_cannot_be_cut_is_one_piece(self, tmp_path: Path) -> None:
        with open_video(Clip(codec="libvpx").write(tmp_path / "clip.webm")) as container:
            plan = plan_film(container, EVERY, segment_s=0.4)
        assert [span.whole for span in plan.spans] == [True]
        assert plan.fallback_reason == "vp8 is always decoded in full"
        assert plan.frames == 50

    def test_a_cut_film_promises_more_than_it_holds(self, tmp_path: Path) -> None:
        clip = Clip(frames=100, gop=10, options=X264, muxer={"movflags": "+faststart"})
        for suffix in ("mp4", "mkv"):
            path = clip.write(tmp_path / f"clip.{suffix}")
            content = path.read_bytes()
            path.write_bytes(content[: int(len(content) * 0.6)])
            with open_video(path) as container:
                plan = plan_film(container, EVERY)
            assert plan.frames < 80
            assert plan.expected_frames == pytest.approx(100, abs=3)
            clip = replace(clip, muxer={})

    def test_a_jump_of_the_clock_promises_nothing(self, tmp_path: Path) -> None:
        pts = [100 * index + (25 * 100 * 86_400 if index > 30 else 0) for index in range(60)]
        path = Clip(frames=60, pts=pts, options=X264, gop=12).write(tmp_path / "clip.mkv")
        with open_video(path) as container:
            plan = plan_film(container, EVERY)
        assert plan.frames == plan.expected_frames == 60

    def test_a_sound_film_promises_what_it_holds(self, tmp_path: Path) -> None:
        for kind in ("h264", "h264-ts", "vp9", "hevc"):
            clip, suffix = KINDS[kind]
            path = replace(clip, sound=suffix == "mp4").write(tmp_path / f"clip.{suffix}")
            with open_video(path) as container:
                plan = plan_film(container, EVERY)
            assert (plan.frames, plan.expected_frames) == (50, 50), kind


class TestDamage:
    """Damaged films: what is not marked damaged is as in decoding all, known by its PTS.

    How a decoder covers damage depends on what it decoded before, so a part of the film
    taken by itself may look different there; such pictures are marked and never scored.
    """

    @pytest.mark.parametrize("kind", ["h264", "h264-ts", "hevc-closed-ts", "vp9", "av1", "mpeg2"])
    @pytest.mark.parametrize("seed", range(3))
    def test_pictures_are_those_of_decoding_all(self, tmp_path: Path, kind: str, seed: int) -> None:
        clip, suffix = KINDS[kind]
        path = replace(clip, frames=80, width=128, height=96).write(tmp_path / f"clip.{suffix}")
        damage(path, seed)
        with open_video(path) as container:
            sampling = Sampling("every", 5)
            pictures = {
                f.pts: checksum(f) for f in DecodeAll().sample(container, Sampling("every", 1))
            }
            for frames in (
                Sparse().sample(container, sampling),
                *(
                    Sparse().sample(container, sampling, span)
                    for span in plan_film(container, sampling, segment_s=1).spans
                ),
            ):
                for sampled in frames:
                    assert sampled.damaged or pictures[sampled.pts] == checksum(sampled)


def damage(path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    start, end = 2000, len(content) - 2000
    if b"mdat" in content:
        start = content.index(b"mdat")
        end = start + int.from_bytes(content[start - 4 : start], "big") - 50
    for _ in range(4):
        at = int(random.integers(start + 400, end))
        content[at : at + 20] = random.bytes(20)
    path.write_bytes(content)


@st.composite
def clips(draw: st.DrawFn) -> tuple[Clip, str]:
    """Encoder settings that matter to a sampler."""
    codec = draw(
        st.sampled_from(["libx264", "libx264", "libx265", "libvpx-vp9", "mpeg4", "mpeg2video"])
    )
    gop = draw(st.sampled_from([1, 3, 10, 24, 250]))
    b_frames = draw(st.integers(0, 4)) if codec != "libvpx-vp9" else None
    options: dict[str, str] = {}
    if codec == "libx264":
        pyramid = draw(st.sampled_from(["none", "strict", "normal"]))
        closed = draw(st.sampled_from(["0", "1"]))
        refs = draw(st.integers(1, 6))
        scenecut = draw(st.sampled_from(["0", "40"]))
        tuning = f"b-pyramid={pyramid}:open-gop={closed}:ref={refs}:scenecut={scenecut}"
        options = {"preset": "veryfast", "x264-params": tuning}
        if draw(st.booleans()):
            options["x264-params"] += ":weightp=2:intra-refresh=1"
            b_frames = min(b_frames or 0, 1)
    elif codec == "libx265":
        opened = draw(st.sampled_from(["0", "1"]))
        layers = draw(st.sampled_from(["0", "1"]))
        tuning = f"log-level=none:open-gop={opened}:temporal-layers={layers}"
        options = {"preset": "veryfast", "x265-params": tuning}
    elif codec == "libvpx-vp9":
        options = {**VP9, "error-resilient": draw(st.sampled_from(["0", "1"]))}
        options["lag-in-frames"] = draw(st.sampled_from(["0", "12"]))
    suffixes = ["webm"] if codec == "libvpx-vp9" else ["mkv", "ts", "mp4"]
    suffix = draw(st.sampled_from(suffixes if codec != "mpeg2video" else ["mkv", "ts"]))
    # FFmpeg does not know a transport stream of a few packets for what it is.
    frames = draw(st.integers(1 if suffix != "ts" else 10, 70))
    pts = None
    if draw(st.booleans()) and codec != "mpeg2video":
        steps = draw(st.lists(st.integers(30, 500), min_size=frames, max_size=frames))
        pts = [int(value) for value in np.cumsum(steps)]
    return Clip(codec, frames, options=options, gop=gop, b_frames=b_frames, pts=pts), suffix


@settings(
    max_examples=30,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(made=clips(), stride=st.sampled_from([1, 2, 3, 7, 25]))
def test_settings_of_the_encoder_do_not_matter(made: tuple[Clip, str], stride: int) -> None:
    clip, suffix = made
    with TemporaryDirectory() as folder:
        try:
            path = clip.write(Path(folder) / f"clip.{suffix}")
        except av.error.FFmpegError:  # some settings cannot be muxed
            reject()
        check(path, [f"every:{stride}", "fps:2"])
