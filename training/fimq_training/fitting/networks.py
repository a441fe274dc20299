"""The network of a recipe, with its start weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fimq.errors import StartWeightsInvalid, StartWeightsMissing
from fimq_training.networks import folded_model, paper, unfolded
from fimq_training.networks.folded_model import FoldedB0
from fimq_training.recipes.recipe import NetworkPart


class Start:
    """Where a fit starts: `imagenet` (Keras's own download), `none`, or a file."""

    def __init__(self, init: str) -> None:
        """Read nothing yet.

        Raises:
            StartWeightsMissing: there is no such file.
        """
        self.init = init
        self._file = None if init in {"imagenet", "none"} else Path(init)
        if self._file is not None and not self._file.is_file():
            raise StartWeightsMissing(f"There are no start weights at {init}")

    @property
    def name(self) -> str:
        """The same for the same weights, wherever their file lies."""
        if self._file is None:
            return self.init
        return hashlib.sha256(self._file.read_bytes()).hexdigest()

    def build(self, network: NetworkPart, classes: int, seed: int) -> Any:
        """A new model; of the folded one, all classes but the first are methods.

        Raises:
            StartWeightsMissing: Keras could not download them.
            StartWeightsInvalid: the file is not of this network, or the network has no such start.
        """
        if network.kind == "folded_b0":
            return FoldedB0(self._folded(network.size), seed, methods=classes - 1)
        model = paper.NETWORKS[network.kind](classes, network.size)
        if self.init == "none":
            if network.kind == "efficientnet_b0":
                unfolded.normalise(model)
            return model
        if network.kind != "efficientnet_b0":
            raise StartWeightsInvalid(f"{network.kind} has no start weights; use --init none")
        if self._file is not None:
            unfolded.load(model, self._file)
        else:
            _download(model, network.size)
        return model

    def _folded(self, size: int) -> dict[str, NDArray[np.float32]]:
        if self.init == "none":
            raise StartWeightsInvalid("folded_b0 cannot start from nothing; give --init FILE")
        if self._file is not None and (arrays := folded_model.read(self._file)) is not None:
            return arrays
        model = paper.efficientnet_b0(2, size)
        if self._file is not None:
            unfolded.load(model, self._file)
        else:
            _download(model, size)
        return unfolded.fold(model)


def _download(model: Any, size: int) -> None:
    """Copy Keras's own ImageNet weights into a network without the layer that it would add.

    Its input layers differ from ours in form, not in function: (x / 255 - mean) / std.
    """
    try:
        theirs = keras.applications.EfficientNetB0(
            include_top=False, weights="imagenet", input_shape=(size, size, 3)
        )
    except Exception as error:
        # Keras raises bare Exception where its download fails.
        raise StartWeightsMissing("Keras's ImageNet weights could not be downloaded") from error
    for layer in theirs.layers:
        if layer.weights and not isinstance(layer, keras.layers.Normalization):
            model.get_layer(layer.name).set_weights(layer.get_weights())
    unfolded.normalise(model)
