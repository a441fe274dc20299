"""The paper's two networks, in Keras: a small baseline and EfficientNet-B0 with a new head.

"Detection of Face Image Manipulation Techniques Using Transfer Learning With Convolutional
Neural Networks". Both take RGB in 0..255, [N, size, size, 3], and give class probabilities
[N, K]. The paper divides by 255 outside; here each network does so itself, EfficientNet by its
own input layers, so that a network cannot be fed the wrong range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, regularizers

SIZE = 128  #: side of the paper's input in pixels


def baseline(classes: int, size: int = SIZE) -> Any:
    """The small network: three separable convolutions, then dense layers.

    The paper shows no activation of the convolutions, so they have none; it names none of its
    dense layers either, where we take ReLU. Its text has the layer of 128, its code has not: we
    follow the text.
    """
    return keras.Sequential(
        [
            layers.Input((size, size, 3)),
            layers.Rescaling(1 / 255),
            layers.SeparableConv2D(3, 3, name="conv_3"),
            layers.SeparableConv2D(24, 3, name="conv_24"),
            layers.SeparableConv2D(64, 3, name="conv_64"),
            layers.Flatten(),
            layers.Dense(300, activation="relu", name="dense_300"),
            layers.Dense(128, activation="relu", name="dense_128"),
            # The last layer computes in f32 under every precision: a loss needs its digits.
            layers.Dense(classes, activation="softmax", dtype="float32", name="scores"),
        ],
        name="paper_baseline",
    )


def efficientnet_b0(classes: int, size: int = SIZE) -> Any:
    """EfficientNet-B0 without top, pooled by its maximum, and the paper's head.

    Weights are random: `startweights` fills the backbone. (`weights="imagenet"` would put a
    layer more into the network.)
    """
    backbone = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="max"
    )
    x = backbone.output
    for name in ("head_a", "head_b"):
        both = regularizers.L1L2(l1=0.001, l2=0.001)
        x = layers.Dense(300, activation="relu", kernel_regularizer=both, name=name)(x)
        x = layers.Dropout(0.2)(x)
    x = layers.Dense(classes, activation="softmax", dtype="float32", name="scores")(x)
    return keras.Model(backbone.input, x, name="paper_efficientnet_b0")


NETWORKS: dict[str, Callable[[int, int], Any]] = {
    "baseline": baseline,
    "efficientnet_b0": efficientnet_b0,
}
