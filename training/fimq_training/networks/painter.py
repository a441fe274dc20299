"""The painter: a small U-Net that paints a region of a face.

Fully convolutional, so that it paints at any side that is a multiple of 16. How it goes from
coarse to fine leaves a trace of its own in what it paints; that is why there are several ways.
After Ronneberger et al., "U-Net", 2015.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
from keras import layers

Upsampling = Literal["transposed", "nearest", "bilinear"]
UPSAMPLINGS: tuple[Upsampling, ...] = get_args(Upsampling)

DOWN = (32, 48, 96, 128)  #: channels at a half, a quarter, ... of the side
UP = (96, 48, 32, 16)
RESIDUALS = 2  #: at the lowest resolution
SLOPE = 0.1  #: of the rectifier, below zero


def painter(upsampling: Upsampling) -> Any:
    """A fresh one: canvases [N, s, s, 5] in 0..255 to pictures [N, s, s, 3], about in 0..255.

    The channels are those of `manipulations.painting.Canvas`. Outside the region the picture
    stays as it is.
    """
    canvas = keras.Input((None, None, 5), name="canvas")
    x = canvas / 127.5 - 1
    picture, region = x[..., :3], (x[..., 3:4] + 1) / 2
    skips = []
    for depth, width in enumerate(DOWN):
        skips.append(x)
        x = _convolved(x, width, f"down_{depth}a", stride=2)
        x = _convolved(x, width, f"down_{depth}b")
    for number in range(RESIDUALS):
        change = _convolved(x, DOWN[-1], f"deep_{number}a")
        x = x + _convolved(change, DOWN[-1], f"deep_{number}b")
    for depth, (width, skip) in enumerate(zip(UP, reversed(skips), strict=True)):
        x = larger(x, width, upsampling, f"up_{depth}a")
        x = _convolved(layers.Concatenate()([x, skip]), width, f"up_{depth}b")
    change = layers.Conv2D(3, 3, padding="same", name="change")(x)
    return keras.Model(canvas, (picture + region * change + 1) * 127.5, name="painter")


def _convolved(x: Any, width: int, name: str, *, stride: int = 1) -> Any:
    x = layers.Conv2D(width, 3, stride, padding="same", kernel_initializer="he_normal", name=name)(
        x
    )
    return layers.LeakyReLU(SLOPE)(x)


def larger(x: Any, width: int, upsampling: Upsampling, name: str) -> Any:
    """Maps of twice the side; a transposed convolution makes `width` channels of them."""
    if upsampling == "transposed":
        x = layers.Conv2DTranspose(width, 4, 2, padding="same", name=name)(x)
        return layers.LeakyReLU(SLOPE)(x)
    x = layers.UpSampling2D(2)(x)
    if upsampling == "bilinear":
        # The layer of that name takes no sides that are known only when it paints.
        for window in ((3, 1), (1, 3)):
            x = (3 * layers.AveragePooling2D(window, 1, "same")(x) + x) / 4
    return x
