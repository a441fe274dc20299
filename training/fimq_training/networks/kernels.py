"""Kernels: two operations of EfficientNet that stock TensorFlow does slowly on a CPU.

`fused=True` gives the same numbers to rounding, forward and backward, and saves a twentieth
of a step. SiLU and its gradient become one pass over the map each (stock reads and writes it
about eight times). The filter gradient of a 5 x 5 depthwise convolution is put together from
four 3 x 3 ones, because only the 3 x 3 kernel is specialised and the general one is fifteen
times slower.
"""

from typing import Any

import tensorflow as tf


def bias_silu(x: Any, bias: Any, *, fused: bool) -> Any:
    """SiLU of x + bias over the last axis."""
    return _fused_silu(x, bias) if fused else tf.nn.silu(tf.nn.bias_add(x, bias))


def depthwise(x: Any, kernel: Any, stride: int, *, fused: bool) -> Any:
    """Depthwise convolution with SAME padding."""
    if fused and int(kernel.shape[0]) == 5:
        return _depthwise_5(x, kernel, stride)
    return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _silu(x: Any, bias: Any) -> Any:
    shifted = x + bias
    return shifted * tf.sigmoid(shifted)


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _silu_slope(x: Any, bias: Any, upstream: Any) -> Any:
    shifted = x + bias
    gate = tf.sigmoid(shifted)
    return upstream * gate * (1 + shifted * (1 - gate))


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _fused_silu(x: Any, bias: Any) -> Any:
    def slope(upstream: Any) -> Any:
        of_x = _silu_slope(x, bias, upstream)
        return of_x, tf.raw_ops.BiasAddGrad(out_backprop=of_x)

    return _silu(x, bias), slope


def _depthwise_5(x: Any, kernel: Any, stride: int) -> Any:
    strides = [1, stride, stride, 1]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolve(x: Any, kernel: Any) -> Any:
        def slope(upstream: Any) -> Any:
            of_x = tf.nn.depthwise_conv2d_backprop_input(
                tf.shape(x), kernel, upstream, strides, "SAME"
            )
            return of_x, _kernel_slope_5(x, upstream, stride)

        return tf.nn.depthwise_conv2d(x, kernel, strides, "SAME"), slope

    return convolve(x, kernel)


def _kernel_slope_5(x: Any, upstream: Any, stride: int) -> Any:
    side, out, channels = int(x.shape[1]), int(upstream.shape[1]), int(x.shape[3])
    padding = max((out - 1) * stride + 5 - side, 0)
    before, after = padding // 2, padding - padding // 2
    padded = tf.pad(x, [[0, 0], [before, after], [before, after], [0, 0]])
    reach = (out - 1) * stride + 3

    def corner(down: int, across: int) -> Any:
        part = padded[:, down : down + reach, across : across + reach]
        return tf.nn.depthwise_conv2d_backprop_filter(
            part, [3, 3, channels, 1], upstream, [1, stride, stride, 1], "VALID"
        )

    top = tf.concat([corner(0, 0), corner(0, 2)[:, 1:]], 1)
    bottom = tf.concat([corner(2, 0), corner(2, 2)[:, 1:]], 1)
    return tf.concat([top, bottom[1:]], 0)
