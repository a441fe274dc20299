"""What opening an upload promises, over good, odd and hostile files."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from clips import Clip, write_sound_only
from fimq.errors import (
    DecodeFailed,
    Encrypted,
    NotAVideo,
    NoVideoStream,
    TooLong,
    TooManyPixels,
    Truncated,
    UnsupportedCodec,
)
from fimq_worker.vision.container import Limits, Probe, open_video
from fimq_worker.vision.sampler.base import SampledFrame, Sampling
from fimq_worker.vision.sampler.decode_all import DecodeAll
from heic import write_tiled_heic


def sample(
    path: Path, sampling: str = "every:1", limits: Limits | None = None
) -> list[SampledFrame]:
    with open_video(path, limits) as container:
        return list(DecodeAll().sample(container, Sampling.parse(sampling)))


def probe(path: Path) -> Probe:
    with open_video(path) as container:
        return container.probe


def picture(width: int = 64, height: int = 48) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8))


class TestGoodFiles:
    def test_a_probe_tells_what_the_file_holds(self, tmp_path: Path) -> None:
        found = probe(Clip(frames=30, fps=30, sound=True).write(tmp_path / "clip.mp4"))
        assert (found.codec, found.width, found.height) == ("h264", 64, 48)
        assert (found.frames, found.average_fps, found.pix_fmt) == (30, 30.0, "yuv420p")
        assert found.duration_s == pytest.approx(1)
        assert (found.rotation, found.sample_aspect) == (0, 1)
        assert not found.still
        assert found.other_streams == ()

    def test_a_probe_reports_the_upright_size(self, tmp_path: Path) -> None:
        found = probe(Clip(rotation=90).write(tmp_path / "clip.mp4"))
        assert (found.width, found.height) == (48, 64)
        assert found.rotation in {90, 270}

    def test_a_descriptor_stays_open_and_its_position_does_not_matter(self, tmp_path: Path) -> None:
        fd = os.open(Clip(frames=5).write(tmp_path / "clip.mp4"), os.O_RDONLY)
        os.lseek(fd, 100, os.SEEK_SET)
        for _ in range(2):
            with open_video(fd) as container:
                assert container.probe.frames == 5
        os.close(fd)

    def test_a_film_can_be_read_again(self, tmp_path: Path) -> None:
        with open_video(Clip(frames=12).write(tmp_path / "clip.mkv")) as container:
            counts = [
                len(list(DecodeAll().sample(container, Sampling("every", 1)))) for _ in range(2)
            ]
        assert counts == [12, 12]

    @pytest.mark.parametrize(("frames", "samples"), [(1, 1), (24, 1), (25, 1), (26, 2), (51, 3)])
    def test_every_25th_picture_from_the_first_on(
        self, tmp_path: Path, frames: int, samples: int
    ) -> None:
        found = sample(Clip(frames=frames).write(tmp_path / "clip.mp4"), "every:25")
        assert [frame.frame_index for frame in found] == [25 * i for i in range(samples)]

    def test_tags_that_are_not_utf8_do_no_harm(self, tmp_path: Path) -> None:
        path = Clip(frames=3, metadata={"title": "@@@@@@@@"}).write(tmp_path / "clip.mp4")
        path.write_bytes(path.read_bytes().replace(b"@@@@@@@@", b"\xff\xfe\xe9\xe8@@@@"))
        assert len(sample(path)) == 3

    def test_non_square_pixels_are_made_square(self, tmp_path: Path) -> None:
        clip = Clip(frames=2, options={"aspect": "2:1"}, codec="mpeg4")
        found = probe(clip.write(tmp_path / "clip.avi"))
        if found.sample_aspect != 1:
            assert found.width == round(64 * found.sample_aspect)


class TestStills:
    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif"])
    def test_a_still_is_a_film_of_one_picture(self, tmp_path: Path, suffix: str) -> None:
        picture().save(tmp_path / f"still.{suffix}")
        found = sample(tmp_path / f"still.{suffix}", "every:25")
        assert [frame.frame_index for frame in found] == [0]
        assert probe(tmp_path / f"still.{suffix}").still

    @pytest.mark.parametrize(("suffix", "kind"), [("gif", "GIF"), ("png", "PNG"), ("avif", "AVIF")])
    def test_an_animation_is_a_film(self, tmp_path: Path, suffix: str, kind: str) -> None:
        first, *more = [picture().rotate(10 * i) for i in range(6)]
        first.save(tmp_path / f"a.{suffix}", kind, save_all=True, append_images=more, duration=100)
        found = sample(tmp_path / f"a.{suffix}")
        assert len(found) == 6
        assert not probe(tmp_path / f"a.{suffix}").still

    def test_an_animated_webp_is_refused(self, tmp_path: Path) -> None:
        first, *more = [picture().rotate(10 * i) for i in range(6)]
        first.save(tmp_path / "a.webp", save_all=True, append_images=more, duration=100)
        with pytest.raises(UnsupportedCodec):
            sample(tmp_path / "a.webp")

    @pytest.mark.parametrize("thumbnail", [False, True])
    def test_a_picture_made_of_tiles_is_refused(self, tmp_path: Path, thumbnail: bool) -> None:
        path = write_tiled_heic(tmp_path / "photo.heic", thumbnail=thumbnail)
        with av.open(path) as container:
            assert len(container.streams.video) == 4 + thumbnail
        with pytest.raises(UnsupportedCodec):
            open_video(path)

    def test_a_photo_is_turned_as_its_exif_says(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        picture().save(tmp_path / "photo.jpg", exif=exif)
        found = probe(tmp_path / "photo.jpg")
        assert (found.width, found.height, found.rotation) == (48, 64, 270)

    def test_a_motion_photo_is_one_picture(self, tmp_path: Path) -> None:
        picture().save(tmp_path / "a.jpg")
        film = Clip(frames=20).write(tmp_path / "a.mp4").read_bytes()
        (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes() + film)
        assert len(sample(tmp_path / "b.jpg")) == 1


class TestRefusals:
    @pytest.mark.parametrize(
        "content",
        [
            b"ffconcat version 1.0\nfile clip.mp4\n",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.ts\n#EXT-X-ENDLIST\n",
            b"<html>an error page</html>" * 50,
            b"\x7fELF" + bytes(range(256)) * 20,
            b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
        ],
    )
    @pytest.mark.parametrize("suffix", ["mp4", "avi"])
    def test_what_is_no_video_is_refused(self, tmp_path: Path, content: bytes, suffix: str) -> None:
        Clip(frames=3).write(tmp_path / "clip.mp4")
        Clip(frames=3).write(tmp_path / "clip.ts")
        (tmp_path / f"x.{suffix}").write_bytes(content)
        with pytest.raises(NotAVideo):
            open_video(tmp_path / f"x.{suffix}")

    def test_sound_alone_is_no_film(self, tmp_path: Path) -> None:
        with pytest.raises(NoVideoStream):
            open_video(write_sound_only(tmp_path / "sound.mp4"))

    def test_a_cover_is_no_film(self, tmp_path: Path) -> None:
        path = write_sound_only(tmp_path / "sound.mp4", cover=True)
        with av.open(path) as container:
            assert len(container.streams.video) == 1
        with pytest.raises(NoVideoStream):
            open_video(path)

    @pytest.mark.parametrize("codec", ["ffv1", "magicyuv"])
    def test_a_codec_off_the_list_is_refused(self, tmp_path: Path, codec: str) -> None:
        pix_fmt = "yuv420p"
        with pytest.raises(UnsupportedCodec):
            open_video(Clip(codec=codec, frames=2, pix_fmt=pix_fmt).write(tmp_path / "clip.avi"))

    def test_the_decoder_itself_refuses_a_codec_off_the_list(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = Clip(codec="ffv1", frames=2).write(tmp_path / "clip.mkv")
        monkeypatch.setattr("fimq_worker.vision.film.CODECS", frozenset({"ffv1"}))
        with pytest.raises(DecodeFailed):
            probe(path)

    @pytest.mark.parametrize("keep", [0.02, 0.5])
    def test_an_mp4_cut_before_its_index_is_truncated(self, tmp_path: Path, keep: float) -> None:
        path = Clip(frames=50).write(tmp_path / "clip.mp4")
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])
        with pytest.raises(Truncated):
            open_video(path)

    def test_an_index_without_its_pictures_is_truncated(self, tmp_path: Path) -> None:
        clip = Clip(frames=50, muxer={"movflags": "+faststart"})
        path = clip.write(tmp_path / "clip.mp4")
        content = path.read_bytes()
        path.write_bytes(content[: content.index(b"mdat") + 8])
        with pytest.raises(Truncated):
            probe(path)

    def test_large_pictures_are_refused_by_the_header(self, tmp_path: Path) -> None:
        path = Clip(frames=2).write(tmp_path / "clip.mp4")
        with pytest.raises(TooManyPixels) as caught:
            open_video(path, Limits(max_pixels=64 * 48 - 1))
        assert caught.value.facts == {"width": 64, "height": 48, "limit": 64 * 48 - 1}
        assert len(sample(path, limits=Limits(max_pixels=64 * 48))) == 2

    def test_pictures_as_large_as_the_limit_pass_whatever_their_width(self, tmp_path: Path) -> None:
        path = Clip(frames=2, width=80, height=48).write(tmp_path / "clip.mp4")
        assert len(sample(path, limits=Limits(max_pixels=80 * 48))) == 2

    @pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
    def test_large_pictures_are_refused_in_mid_stream(self, tmp_path: Path, codec: str) -> None:
        small = Clip(codec=codec, frames=30).write(tmp_path / "a.ts").read_bytes()
        large = Clip(codec=codec, frames=30, width=320, height=240).write(tmp_path / "b.ts")
        path = tmp_path / "c.ts"
        path.write_bytes(small * 40 + large.read_bytes())
        with pytest.raises(TooManyPixels) as caught:
            sample(path, limits=Limits(max_pixels=64 * 64))
        assert caught.value.facts["width"] in range(320, 337)

    def test_length_is_judged_on_packets(self, tmp_path: Path) -> None:
        path = Clip(frames=100, fps=10).write(tmp_path / "clip.mp4")
        assert len(sample(path, limits=Limits(max_duration_s=10))) == 100
        with pytest.raises(TooLong):
            sample(path, limits=Limits(max_duration_s=8))

    def test_a_jump_of_the_clock_makes_no_film_too_long(self, tmp_path: Path) -> None:
        pts = [i * 100 + (100 * 25 * 3600 * 1000 if i > 10 else 0) for i in range(20)]
        path = Clip(frames=20, pts=pts).write(tmp_path / "clip.mkv")
        assert len(sample(path)) == 20

    @pytest.mark.parametrize("entry", [b"encv", b"avc1"])
    def test_an_encrypted_film_is_told_by_its_boxes(self, tmp_path: Path, entry: bytes) -> None:
        path = Clip(frames=5).write(tmp_path / "clip.mp4")
        content = bytearray(path.read_bytes())
        if entry == b"encv":
            content[content.index(b"avc1", content.index(b"stsd")) :][:4] = b"encv"
            at = content.index(b"avc1", content.index(b"stsd"))
            content[at : at + 4] = b"encv"
        else:  # a box inside the entry is renamed; its content does not matter
            at = content.index(b"btrt", content.index(b"stsd"))
            content[at : at + 4] = b"sinf"
        path.write_bytes(content)
        with pytest.raises(Encrypted):
            open_video(path)


class TestDamage:
    def test_a_cut_film_gives_its_pictures_up_to_the_cut(self, tmp_path: Path) -> None:
        clip = Clip(frames=100, gop=10, muxer={"movflags": "+faststart"})
        path = clip.write(tmp_path / "clip.mp4")
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * 0.6)])
        found = sample(path)
        assert 20 < len(found) < 100
        assert probe(path).frames == 100

    def test_damaged_pictures_are_marked(self, tmp_path: Path) -> None:
        path = Clip(frames=60, gop=20, width=160, height=128).write(tmp_path / "clip.mp4")
        content = bytearray(path.read_bytes())
        middle = content.index(b"mdat") + len(content) // 3
        content[middle : middle + 4000] = np.random.default_rng(5).bytes(4000)
        path.write_bytes(content)
        found = sample(path)
        assert any(frame.damaged for frame in found)
        assert not found[0].damaged
        assert not found[-1].damaged

    def test_missing_times_are_estimated_and_marked(self, tmp_path: Path) -> None:
        path = Clip(frames=10, options={"bf": "0"}, b_frames=0, format="h264").write(tmp_path / "c")
        found = sample(path)
        assert len(found) == 10
        assert [frame.time_s for frame in found] == pytest.approx([i / 25 for i in range(10)])


def test_a_rate_that_makes_no_sense_is_replaced(tmp_path: Path) -> None:
    with open_video(Clip(frames=3, fps=25).write(tmp_path / "clip.mp4")) as container:
        assert container.average_fps == Fraction(25)
