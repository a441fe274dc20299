from dataclasses import replace

import numpy as np
import pytest

from fimq_training.manipulations.forgeries import KINDS
from fimq_training.manipulations.masks import REGIONS, region_mask
from fimq_training.manipulations.pairs import forge


def jitter(face):
    """As landmarks tremble from frame to frame: hulls have other corners."""
    return np.random.default_rng(4).normal(0, 0.01 * face.width, face.points.shape)


@pytest.mark.parametrize("kind", KINDS)
class TestForgery:
    """What every kind of forgery promises."""

    def test_only_pixels_inside_the_mask_change(self, kind, face, other):
        for seed in range(12):
            made = forge(face, kind, other, np.random.default_rng(seed))
            outside = made.mask == 0
            assert outside.any()
            assert np.array_equal(made.fake[outside], made.real[outside])

    def test_most_change_what_one_can_see(self, kind, face, other):
        changes = [
            forge(face, kind, other, np.random.default_rng(seed)).change for seed in range(12)
        ]
        assert np.median(changes) > 2

    def test_a_seed_decides_all_of_it(self, kind, face, other):
        first, second = (forge(face, kind, other, np.random.default_rng(5)) for _ in range(2))
        assert first.name == second.name
        assert np.array_equal(first.fake, second.fake)

    def test_what_is_drawn_for_one_frame_of_a_clip_is_drawn_for_the_next(self, kind, face, other):
        moved = replace(face, points=face.points + jitter(face))
        for seed in range(12):
            drawn = [np.random.default_rng(seed) for _ in range(2)]
            for frame, rng in zip((face, moved), drawn, strict=True):
                forge(frame, kind, other, rng)
            assert drawn[0].bit_generator.state == drawn[1].bit_generator.state

    def test_the_picture_that_is_forged_stays_as_it_was(self, kind, face, other):
        before = face.pixels.copy()
        forge(face, kind, other, np.random.default_rng(1))
        assert np.array_equal(face.pixels, before)


@pytest.mark.parametrize("region", REGIONS)
def test_a_mask_is_a_share_and_leaves_the_border_alone(region, face):
    for seed in range(6):
        mask = region_mask(
            face.points, region, face.pixels.shape, face.width, np.random.default_rng(seed)
        )
        assert mask.dtype == np.float32
        assert mask.min() >= 0
        assert mask.max() <= 1
        assert mask[[0, -1]].max() == mask[:, [0, -1]].max() == 0


def test_swap_and_reenactment_leave_the_real_side_alone(face, other):
    for kind in ("swap", "reenact"):
        made = forge(face, kind, other, np.random.default_rng(3))
        assert np.array_equal(made.real, face.pixels)
