"""OpenVINO: the default runtime on CPUs.

In f32 on purpose. Left alone it picks bf16 on processors that have it, and the same video
would score differently from host to host (measured: by up to .008).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from fimq.errors import ModelInvalid
from fimq.models.package import ModelPackage
from fimq_worker.runtimes.base import checked


class OpenVinoRuntime:
    """A package's network, compiled for this CPU."""

    name = "openvino"
    precision = "f32"

    def __init__(self, package: ModelPackage) -> None:
        """Compile the network.

        Raises:
            ModelInvalid: OpenVINO cannot read it.
        """
        self.version = str(openvino.get_version()).partition("-")[0]
        self._classes = len(package.manifest.classes)
        core = openvino.Core()
        try:
            network = core.read_model(model=package.onnx, weights=b"")
            self._network: Any = core.compile_model(
                network,
                "CPU",
                {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"},
            )
        except RuntimeError as error:
            raise ModelInvalid(f"OpenVINO cannot load {package.manifest.label}") from error

    def score(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the class scores (N, K) of crops."""
        if not len(crops):
            return np.empty((0, self._classes), np.float32)
        try:
            answer = self._network(np.ascontiguousarray(crops))[0]
        except RuntimeError as error:
            raise ModelInvalid("The model does not take crops of this size") from error
        return checked(answer, len(crops), self._classes)
