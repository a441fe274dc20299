import io
import os
import subprocess
import sys

import numpy as np
import pytest

from fimq_training.manipulations.degradations import Degradation, camera, platform
from fimq_training.manipulations.shortclip import CODECS, ShortClip


@pytest.mark.parametrize("draw", [camera, platform])
class TestPlan:
    """What both kinds of plan promise."""

    def test_a_seed_draws_the_same_plan(self, draw):
        assert draw(100, np.random.default_rng(7)) == draw(100, np.random.default_rng(7))

    def test_the_same_picture_comes_out_the_same(self, draw, face):
        for seed in range(8):
            plan = draw(face.width, np.random.default_rng(seed))
            assert np.array_equal(plan.apply(face.pixels), plan.apply(face.pixels))

    def test_size_and_kind_stay(self, draw, face):
        for seed in range(8):
            out = draw(face.width, np.random.default_rng(seed)).apply(face.pixels)
            assert out.shape == face.pixels.shape
            assert out.dtype == np.uint8


CODED_CLIPS = """
import hashlib, io, sys
import numpy as np
from fimq_training.manipulations.degradations import camera, platform

picture = np.load(io.BytesIO(sys.stdin.buffer.read()))
for draw in (camera, platform):
    for seed in range(24):
        clip = draw(104.0, np.random.default_rng(seed)).video
        if clip is not None:
            print(hashlib.sha256(clip.last_frame_of(picture).tobytes()).hexdigest())
"""


def test_what_lay_in_memory_before_does_not_matter(face):
    """glibc fills new and freed memory with a pattern of our choice: none may show."""
    stored = io.BytesIO()
    np.save(stored, face.pixels)

    def coded(pattern):
        return subprocess.run(
            [sys.executable, "-c", CODED_CLIPS],
            input=stored.getvalue(),
            env={**os.environ, "MALLOC_PERTURB_": str(pattern)},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout.split()

    plain = coded(0)
    assert len(plain) > 20
    assert coded(1) == plain
    assert coded(254) == plain


def test_real_and_fake_get_the_same_noise_and_colours(face):
    plan = Degradation(seed=3, colour=1.2, gamma=1.1, noise=6.0)
    fake = face.pixels.copy()
    fake[100:140, 100:140] //= 2
    real, fake = plan.apply(face.pixels), plan.apply(fake)
    apart = np.any(real != fake, axis=2)
    assert apart[100:140, 100:140].mean() > 0.9
    # Noise is drawn for the place, not for the content.
    assert not apart[:90].any()


def test_most_plans_end_in_video():
    rng = np.random.default_rng(0)
    plans = [platform(100, rng) for _ in range(600)]
    share = np.mean([plan.video is not None for plan in plans])
    assert 0.56 < share < 0.68
    assert not any(plan.video and plan.jpeg for plan in plans)
    codecs = [plan.video.codec for plan in plans if plan.video]
    assert {codec: codecs.count(codec) / len(codecs) for codec in CODECS} == pytest.approx(
        {name: codec.share for name, codec in CODECS.items()}, abs=0.06
    )


class TestShortClip:
    @staticmethod
    def loss(face, crf, codec):
        clip = ShortClip(
            crf=crf, frames=3, preset="veryfast", drift=(1.0, 0.5), head=104.0, codec=codec
        )
        return np.abs(clip.last_frame_of(face.pixels).astype(int) - face.pixels).mean()

    @pytest.mark.parametrize("codec", CODECS)
    def test_a_higher_crf_loses_more(self, face, codec):
        assert self.loss(face, 20, codec) < self.loss(face, 38, codec)

    @pytest.mark.parametrize("crf", [20, 30, 38])
    def test_every_codec_loses_about_as_much_at_one_crf(self, face, crf):
        losses = [self.loss(face, crf, codec) for codec in CODECS]
        assert max(losses) < 1.6 * min(losses)

    @pytest.mark.parametrize("codec", CODECS)
    def test_the_last_frame_lies_where_the_picture_did(self, face, codec):
        clip = ShortClip(crf=18, frames=4, preset="veryfast", drift=(3.0, 2.0), codec=codec)
        out = clip.last_frame_of(face.pixels).astype(float)
        at_home = np.abs(out - face.pixels).mean()
        moved = np.abs(out - np.roll(face.pixels, 3, axis=1)).mean()
        assert at_home < moved
