"""Faces made from numbers: no picture of a person is needed to test how pairs are made."""

import cv2
import numpy as np

from fimq_training.manipulations import landmarks
from fimq_training.manipulations.samples import Sample, SampleSet
from fimq_worker.vision.box import Box

SIDE, WIDTH = 240, 104.0


def points(rng: np.random.Generator) -> landmarks.Points:
    """468 points inside an ellipse, those of the oval on its edge, eyes and lips in place."""
    angle, reach = rng.uniform(0, 2 * np.pi, 468), np.sqrt(rng.uniform(0, 0.8, 468))
    x, y = reach * np.cos(angle), reach * np.sin(angle)

    def ring(indices: tuple[int, ...], at: tuple[float, float], size: tuple[float, float]) -> None:
        turn = np.linspace(0, 2 * np.pi, len(indices), endpoint=False)
        x[list(indices)] = at[0] + size[0] * np.sin(turn)
        y[list(indices)] = at[1] - size[1] * np.cos(turn)

    ring(landmarks.OVAL, (0, 0), (1, 1))
    ring(landmarks.EYE_LEFT, (-0.4, -0.25), (0.18, 0.08))
    ring(landmarks.EYE_RIGHT, (0.4, -0.25), (0.18, 0.08))
    ring(landmarks.LIPS, (0, 0.5), (0.35, 0.12 * rng.uniform(0.7, 2)))
    placed = np.stack([SIDE / 2 + x * WIDTH / 2, SIDE / 2 + y * WIDTH * 0.6], 1)
    return placed.astype(np.float32)


def pixels(rng: np.random.Generator) -> landmarks.Pixels:
    """A picture with something to see everywhere."""
    coarse = rng.integers(40, 216, (9, 9, 3)).astype(np.uint8)
    fine = rng.integers(-12, 13, (SIDE, SIDE, 1))
    smooth = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth.astype(int) + fine, 0, 255).astype(np.uint8)


def sample(person: str, seed: int) -> Sample:
    """A face of a person, by a seed."""
    rng = np.random.default_rng(seed)
    corner = (SIDE - WIDTH) / 2
    return Sample(
        pixels=pixels(rng),
        points=points(rng),
        box=Box(corner, corner, WIDTH, WIDTH),
        served=np.zeros((128, 128, 3), np.uint8),
        person=person,
        source=f"videos/made/{person}.mp4",
    )


def sample_set() -> SampleSet:
    """Six frames each of four people."""
    return SampleSet(sample(f"person_{p}", 10 * p + frame) for p in range(4) for frame in range(6))
