"""Start weights for Keras: its EfficientNet-B0 filled from the folded form or from a file.

The folded form (`folded`) has no batch norms, Keras's has 49. Filling them in so that they do
nothing would keep the function, but the first step of a fit, which normalises by the batch,
would tear it: so each mean and variance is set to what photographs give there, and scale and
offset are chosen such that the function stays as it was.

A file is an npz of arrays named LAYER/VARIABLE, kernels as f16: nothing in it can run. The trap
of Keras's Normalization, which ignores weights until `finalize_state()`, is taken care of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fimq.errors import ArraysDamaged, StartWeightsInvalid, StartWeightsMissing
from fimq_training.arrays import read_arrays, write_arrays
from fimq_training.networks import folded

BATCH = 32
#: Each layer of the folded form: its kernel, the layer of Keras that holds it, its batch norm.
_Layer = tuple[str, str, str]


def fill(net: Any, parameters: Mapping[str, NDArray[np.float32]]) -> None:
    """Put folded parameters into Keras's EfficientNetB0 (or a model built upon it).

    The batch norms become plain offsets; `reestimate` makes them usable in a fit.
    """
    normalise(net)
    for source, convolution, norm in _layers():
        net.get_layer(convolution).set_weights([parameters[f"{source}_w"]])
        offset = parameters[f"{source}_b"]
        layer, none = net.get_layer(norm), np.zeros(len(offset))
        scale = np.full(len(offset), np.sqrt(1 + layer.epsilon))
        layer.set_weights([scale, offset, none, none + 1])
    for block in folded.blocks():
        for part in ("reduce", "expand"):
            name = f"{block.name}se_{part}"
            net.get_layer(name).set_weights([parameters[f"{name}_w"], parameters[f"{name}_b"]])


def fold(net: Any) -> dict[str, NDArray[np.float32]]:
    """The folded form of Keras's EfficientNetB0, whose batch norms become part of its kernels.

    The other way of `fill`: y = gamma (w x - mean) / sqrt(variance + epsilon) + beta.
    """
    parameters: dict[str, NDArray[np.float32]] = {}
    for source, convolution, norm in _layers():
        layer = net.get_layer(norm)
        (kernel,) = net.get_layer(convolution).get_weights()
        scale, offset, mean, variance = (np.float64(w) for w in layer.get_weights())
        slope = scale / np.sqrt(variance + layer.epsilon)
        # A depthwise kernel has its channels before the last axis.
        shaped = slope[:, None] if source.endswith("dw") else slope
        parameters[f"{source}_w"] = (kernel * shaped).astype(np.float32)
        parameters[f"{source}_b"] = (offset - mean * slope).astype(np.float32)
    for block in folded.blocks():
        for part in ("reduce", "expand"):
            name = f"{block.name}se_{part}"
            kernel, bias = net.get_layer(name).get_weights()
            parameters[f"{name}_w"], parameters[f"{name}_b"] = kernel, bias
    return parameters


def reestimate(net: Any, photos: NDArray[np.uint8]) -> None:
    """Set mean and variance of each batch norm from photos, and keep the function.

    Args:
        net: as in `fill`.
        photos: uint8 RGB [N, size, size, 3]; some hundreds.
    """
    norms = [x for x in net.layers if isinstance(x, keras.layers.BatchNormalization)]
    probe = keras.Model(net.inputs, [norm.input for norm in norms])
    sums: list[NDArray[np.float64]] = [np.zeros((2, norm.input.shape[-1])) for norm in norms]
    counts = np.zeros(len(norms))
    for start in range(0, len(photos), BATCH):
        seen = probe(tf.constant(photos[start : start + BATCH], tf.float32), training=False)
        for index, values in enumerate(seen):
            wide = tf.cast(values, tf.float64)
            both = [tf.reduce_sum(part, [0, 1, 2]).numpy() for part in (wide, wide**2)]
            sums[index] += np.stack(both)
            counts[index] += int(np.prod(values.shape[:3]))
    for norm, total, count in zip(norms, sums, counts, strict=True):
        mean = total[0] / count
        variance = np.maximum(total[1] / count - mean**2, 0)
        scale, offset, old_mean, old_variance = (np.float64(w) for w in norm.get_weights())
        slope = scale / np.sqrt(old_variance + norm.epsilon)  # the affine map that it was
        kept = [slope * np.sqrt(variance + norm.epsilon), offset + slope * (mean - old_mean)]
        norm.set_weights([*kept, mean, variance])


def normalise(net: Any) -> None:
    """Set the network's own input normalisation: ImageNet's mean and standard deviation."""
    layer = _normalization(net)
    layer.set_weights([folded.MEAN / 255, (folded.STD / 255) ** 2, np.array(0)])
    layer.finalize_state()


def save(net: Any, path: Path) -> None:
    """Write the backbone's weights to an npz, kernels as f16."""
    arrays = {}
    for name, layer, place in _backbone(net):
        value = np.asarray(layer.weights[place])
        is_kernel = layer.weights[place].name == "kernel"
        arrays[name] = value.astype(np.float16) if is_kernel else value
    write_arrays(path, arrays, packed=True)


def load(net: Any, path: Path) -> None:
    """Fill the backbone of `net` from a file that `save` wrote.

    Raises:
        StartWeightsMissing: there is no such file.
        StartWeightsInvalid: it is damaged, or is not of this network.
    """
    try:
        arrays = read_arrays(path)
    except FileNotFoundError as error:
        raise StartWeightsMissing(f"There are no start weights at {path}") from error
    except ArraysDamaged as error:
        raise StartWeightsInvalid(f"The start weights {path} cannot be read") from error
    wanted = {name: layer.weights[place].shape for name, layer, place in _backbone(net)}
    wrong = wanted.keys() ^ arrays.keys() or {
        name for name, shape in wanted.items() if tuple(arrays[name].shape) != tuple(shape)
    }
    if wrong:
        raise StartWeightsInvalid(f"The start weights do not fit: {min(wrong)}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise StartWeightsInvalid("The start weights hold numbers that are not finite")
    for name, layer, place in _backbone(net):
        layer.weights[place].assign(arrays[name].astype(np.float32))
    _normalization(net).finalize_state()


def photos(size: int, count: int = 384, seed: int = 0) -> NDArray[np.uint8]:
    """Crops [count, size, size, 3] of the photographs that scikit-image brings along."""
    import cv2  # noqa: PLC0415 - for this alone
    from skimage import data  # noqa: PLC0415 - the extra `demo`

    names = ("astronaut", "chelsea", "coffee", "rocket", "retina", "hubble_deep_field")
    pictures = [np.asarray(getattr(data, name)()) for name in names]
    rng = np.random.default_rng(seed)
    crops: list[NDArray[np.uint8]] = []
    while len(crops) < count:
        # A third of them from the portrait: what follows is about faces.
        drawn = 0 if rng.random() < 1 / 3 else int(rng.integers(1, len(pictures)))
        picture = pictures[drawn]
        height, width = picture.shape[:2]
        side = int(rng.uniform(0.3, 1) * min(height, width))
        y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        crop = picture[y : y + side, x : x + side]
        small = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
        mirrored = small[:, ::-1] if rng.random() < 0.5 else small
        crops.append(mirrored.astype(np.uint8))
    return np.stack(crops)


def _layers() -> Iterator[_Layer]:
    yield "stem", "stem_conv", "stem_bn"
    for block in folded.blocks():
        name = block.name
        if block.expand > 1:
            yield f"{name}expand", f"{name}expand_conv", f"{name}expand_bn"
        yield f"{name}dw", f"{name}dwconv", f"{name}bn"
        yield f"{name}project", f"{name}project_conv", f"{name}project_bn"
    yield "top", "top_conv", "top_bn"


def _backbone(net: Any) -> Iterator[tuple[str, Any, int]]:
    """Name, layer and place of every weight below the pooling."""
    ends = [index for index, layer in enumerate(net.layers) if layer.name == "top_activation"]
    for layer in net.layers[: ends[0]]:
        # Keras numbers the layers that it names itself, from process to process.
        name = "normalization" if isinstance(layer, keras.layers.Normalization) else layer.name
        for place, weight in enumerate(layer.weights):
            yield f"{name}/{weight.name}", layer, place


def _normalization(net: Any) -> Any:
    return next(x for x in net.layers if isinstance(x, keras.layers.Normalization))
