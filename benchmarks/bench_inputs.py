"""Images a second of our tf.data inputs against Keras's ImageDataGenerator.

Both read the same PNG crops in an order of their own and alter them as the paper's recipes do
(mirror, zoom .1, shear .5 degrees), alone and with a step of a network after each batch. All
ways run in turn in one process; the best of some rounds is taken. The ratio is ours over
Keras's: above 1 is faster.

    python benchmarks/bench_inputs.py [--crops 2048] [--rounds 3] [--network efficientnet_b0]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import tensorflow as tf

from fimq_training.fitting.alterations import Alterations
from fimq_training.fitting.inputs import CropInputs, Examples
from fimq_training.networks.paper import NETWORKS

SIZE, BATCH, SEED = 128, 64, 1
ALTERATIONS = Alterations(flip=True, zoom=0.1, shear=0.5)
CLASSES = ("fake", "real")
Batches = Callable[[int], Iterator[tuple[Any, Any]]]  #: images, classes of an epoch


def write_crops(folder: Path, count: int) -> Examples:
    """Crops with as much detail as faces have: a PNG takes about 25 kB."""
    rng, paths = np.random.default_rng(SEED), []
    for number in range(count):
        path = folder / CLASSES[number % 2] / f"{number:06d}.png"
        path.parent.mkdir(exist_ok=True)
        smooth = cv2.resize(
            rng.integers(0, 256, (24, 24, 3), np.uint8), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC
        )
        noise = rng.normal(0, 4, (SIZE, SIZE, 3))
        cv2.imwrite(str(path), np.clip(smooth + noise, 0, 255).astype(np.uint8))
        paths.append(path)
    classes = np.arange(count, dtype=np.int64) % 2
    return Examples(paths, classes, np.ones(2, np.float32))


def ours(examples: Examples) -> Batches:
    inputs = CropInputs(examples, size=SIZE, batch=BATCH, seed=SEED)

    def epoch(number: int) -> Iterator[tuple[Any, Any]]:
        for images, classes, _ in inputs.epoch(number, ALTERATIONS):
            yield images, classes

    return epoch


def keras_generator(folder: Path) -> Batches:
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        horizontal_flip=True,
        zoom_range=ALTERATIONS.zoom,
        shear_range=ALTERATIONS.shear,
        fill_mode="nearest",
    )

    def epoch(number: int) -> Iterator[tuple[Any, Any]]:
        with contextlib.redirect_stdout(io.StringIO()):  # it says how many images it found
            flow = generator.flow_from_directory(
                str(folder),
                target_size=(SIZE, SIZE),
                batch_size=BATCH,
                class_mode="sparse",
                classes=list(CLASSES),
                seed=number,
            )
        for index in range(len(flow)):
            images, classes = flow[index]
            yield images, classes

    return epoch


def nothing(images: Any, classes: Any) -> None:
    """Take a batch and do nothing with it."""


def step(network: str) -> Callable[[Any, Any], None]:
    """Fit a network to each batch."""
    model = NETWORKS[network](len(CLASSES), SIZE)
    model.compile("adam", "sparse_categorical_crossentropy")

    def fit(images: Any, classes: Any) -> None:
        model.train_on_batch(tf.cast(images, tf.float32), tf.cast(classes, tf.int32))

    return fit


def images_per_s(batches: Batches, use: Callable[[Any, Any], None], epoch: int) -> float:
    began, seen = time.monotonic(), 0
    for images, classes in batches(epoch):
        use(images, classes)
        seen += len(images)
    return seen / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--network", choices=sorted(NETWORKS), default="efficientnet_b0")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        examples = write_crops(folder, given.crops)
        uses = {"inputs alone": nothing, f"fit of {given.network}": step(given.network)}
        print(f"{len(os.sched_getaffinity(0))} cores, {given.crops} crops of {SIZE} x {SIZE}")
        for title, use in uses.items():
            ways = ours(examples), keras_generator(folder)
            rounds = [
                [images_per_s(way, use, number) for way in ways]
                for number in range(1, given.rounds + 2)
            ]
            # The first one traces graphs and fills the page cache.
            mine, theirs = np.max(rounds[1:], axis=0)
            epoch = given.crops / mine
            print(
                f"{title:<24} tf.data {mine:7.0f} images/s ({epoch:.1f} s an epoch), "
                f"ImageDataGenerator {theirs:7.0f}, ratio {mine / theirs:.2f}"
            )


if __name__ == "__main__":
    main()
