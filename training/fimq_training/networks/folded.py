"""The network: EfficientNet-B0 with its batch norms folded into the convolutions.

Frozen batch norms are affine maps, so the fit needs none of them: no normalisation forward
or backward, and the same form is trained, exported and served. Parameters are a plain dict of
arrays or variables by name; the shapes here are the only description of the architecture.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fimq_training.networks.kernels import bias_silu, depthwise

Parameters = Mapping[str, Any]  #: arrays, tensors or variables by name

MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
STD = np.array([0.229, 0.224, 0.225], np.float32) * 255
STEM, TOP = 32, 1280  #: channels after the first and after the last convolution
DROP_CONNECT = 0.1  #: share of residual branches dropped in the last block while fitting
DROPOUT = 0.3
MASK_AFTER = "block5c_"  #: the block that the auxiliary map is read from, 8 x 8 for 128 x 128
MASK_CHANNELS = 112


@dataclass(frozen=True, slots=True)
class Block:
    """One inverted bottleneck."""

    name: str
    kernel: int
    stride: int
    expand: int  #: channels inside over channels in
    channels_in: int
    channels_out: int
    drop: float  #: share of branches dropped while fitting

    @property
    def is_residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.channels_in == self.channels_out

    @property
    def inside(self) -> int:
        """Channels between expansion and projection."""
        return self.channels_in * self.expand

    @property
    def squeezed(self) -> int:
        """Channels of the squeeze-and-excite layer: a quarter of the block's input."""
        return self.channels_in // 4


#: Repeats, kernel, stride of the first, expansion, channels out.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def blocks() -> Iterator[Block]:
    """The blocks in order."""
    total, index, channels = sum(stage[0] for stage in _STAGES), 0, STEM
    for stage, (repeats, kernel, stride, expand, out) in enumerate(_STAGES, start=1):
        for repeat in range(repeats):
            yield Block(
                name=f"block{stage}{'abcd'[repeat]}_",
                kernel=kernel,
                stride=stride if repeat == 0 else 1,
                expand=expand,
                channels_in=channels,
                channels_out=out,
                drop=DROP_CONNECT * index / total,
            )
            channels, index = out, index + 1


def shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every parameter of the features, by name."""
    result: dict[str, tuple[int, ...]] = {"stem_w": (3, 3, 3, STEM), "stem_b": (STEM,)}
    for block in blocks():
        name, inside = block.name, block.inside
        if block.expand > 1:
            result[name + "expand_w"] = (1, 1, block.channels_in, inside)
            result[name + "expand_b"] = (inside,)
        result[name + "dw_w"] = (block.kernel, block.kernel, inside, 1)
        result[name + "dw_b"] = (inside,)
        result[name + "se_reduce_w"] = (1, 1, inside, block.squeezed)
        result[name + "se_reduce_b"] = (block.squeezed,)
        result[name + "se_expand_w"] = (1, 1, block.squeezed, inside)
        result[name + "se_expand_b"] = (inside,)
        result[name + "project_w"] = (1, 1, inside, block.channels_out)
        result[name + "project_b"] = (block.channels_out,)
    result["top_w"], result["top_b"] = (1, 1, 320, TOP), (TOP,)
    return result


def head(seed: int, methods: int = 0) -> dict[str, NDArray[np.float32]]:
    """Fresh parameters of the classifier and of a second head.

    With `methods` that one names the method, else it says where a forgery is: pairs of our own
    come with a mask, those of a data set with the method's name.
    """
    rng = np.random.default_rng(seed)
    heads = {
        "head_w": rng.normal(0, 0.02, (TOP, 1)).astype(np.float32),
        "head_b": np.zeros(1, np.float32),
    }
    if not methods:
        heads["mask_w"] = rng.normal(0, 0.02, (MASK_CHANNELS, 1)).astype(np.float32)
        heads["mask_b"] = np.zeros(1, np.float32)
    else:
        heads["method_w"] = rng.normal(0, 0.02, (TOP, methods)).astype(np.float32)
        heads["method_b"] = np.zeros(methods, np.float32)
    return heads


@dataclass(frozen=True, slots=True)
class Output:
    """What the network says of a batch."""

    features: Any  #: [N, 1280]
    logits: Any  #: [N], above zero means manipulated
    mask_logits: Any  #: [N, 8, 8], where it is manipulated; None without its head
    method_logits: Any = None  #: [N, K], by which method; None without its head


def features(parameters: Parameters, images: Any) -> Any:
    """Pooled features [N, 1280] of RGB images in 0..255, [N, H, W, 3] float."""
    top, _ = _maps(parameters, images, None)
    return tf.reduce_mean(top, [1, 2])


def first_maps(parameters: Parameters, images: Any) -> list[Any]:
    """The maps after the stem and the first two blocks, [N, H/2, W/2, 32] to [N, H/4, W/4, 24]."""
    p = parameters
    x = bias_silu(_convolved((images - MEAN) / STD, p["stem_w"], 2), p["stem_b"], fused=False)
    maps = [x]
    for block in list(blocks())[:2]:
        x = _block(p, block, x, None)
        maps.append(x)
    return maps


def forward(parameters: Parameters, images: Any, *, seed: Any = None) -> Output:
    """Run the network on RGB images in 0..255.

    A `seed` [2] turns dropout on, and decides it: a fit that goes on at a checkpoint drops what
    it would have dropped.
    """
    top, middle = _maps(parameters, images, seed)
    pooled = tf.reduce_mean(top, [1, 2])
    seen = pooled
    if seed is not None:
        seen = tf.nn.experimental.stateless_dropout(pooled, DROPOUT, _seed(seed, 0))
    logits = (seen @ parameters["head_w"] + parameters["head_b"])[:, 0]
    mask_logits = None
    if "mask_w" in parameters:
        mask_logits = (middle @ parameters["mask_w"] + parameters["mask_b"])[..., 0]
    method_logits = None
    if "method_w" in parameters:
        method_logits = seen @ parameters["method_w"] + parameters["method_b"]
    return Output(pooled, logits, mask_logits, method_logits)


def _maps(p: Parameters, images: Any, seed: Any) -> tuple[Any, Any]:
    fitting = seed is not None
    x = (images - MEAN) / STD
    x = bias_silu(_convolved(x, p["stem_w"], 2), p["stem_b"], fused=fitting)
    middle = None
    for number, block in enumerate(blocks(), start=1):
        x = _block(p, block, x, _seed(seed, number))
        if block.name == MASK_AFTER:
            middle = x
    return bias_silu(_convolved(x, p["top_w"]), p["top_b"], fused=fitting), middle


def _block(p: Parameters, block: Block, x: Any, seed: Any) -> Any:
    name, start, fitting = block.name, x, seed is not None
    if block.expand > 1:
        x = bias_silu(_convolved(x, p[name + "expand_w"]), p[name + "expand_b"], fused=fitting)
    x = depthwise(x, p[name + "dw_w"], block.stride, fused=fitting)
    x = bias_silu(x, p[name + "dw_b"], fused=fitting)
    seen = tf.reduce_mean(x, [1, 2])
    seen = tf.nn.silu(seen @ p[name + "se_reduce_w"][0, 0] + p[name + "se_reduce_b"])
    gate = tf.sigmoid(seen @ p[name + "se_expand_w"][0, 0] + p[name + "se_expand_b"])
    x = x * gate[:, None, None, :]
    x = tf.nn.bias_add(_convolved(x, p[name + "project_w"]), p[name + "project_b"])
    if not block.is_residual:
        return x
    if fitting and block.drop > 0:
        drawn = tf.random.stateless_uniform([tf.shape(x)[0], 1, 1, 1], seed)
        x = x * tf.floor(1 - block.drop + drawn) / (1 - block.drop)
    return x + start


def _seed(seed: Any, number: int) -> Any:
    """A seed of its own for each place where something is drawn."""
    return None if seed is None else seed + tf.constant([0, number], seed.dtype)


def _convolved(x: Any, kernel: Any, stride: int = 1) -> Any:
    return tf.nn.conv2d(x, kernel, stride, "SAME")
