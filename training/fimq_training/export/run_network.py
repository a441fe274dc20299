"""The network of a run, with the weights of its best epoch, as it is measured and exported."""

from __future__ import annotations

from pathlib import Path

from fimq_training.export.onnx import Exported, KerasNetwork, Network, Precision
from fimq_training.fitting.run import Run, put
from fimq_training.networks.folded_model import parameters
from fimq_training.networks.paper import NETWORKS


def of_run(run: Run, folder: Path, precision: Precision = "f32") -> Exported:
    """Build the network of the run in `folder`.

    Raises:
        RunMissing: no epoch has ended, or the weights are not of this network.
        ArraysDamaged: their file is not whole.
    """
    network, weights = run.recipe.network, run.weights(folder)
    if network.kind == "folded_b0":
        return Network(parameters(weights), network.size, precision)
    model = NETWORKS[network.kind](len(run.classes), network.size)
    put(model, weights)
    return KerasNetwork(model, network.size, precision)
