"""ONNX Runtime on CPUs: as fast as OpenVINO in f32, and the reference of the parity tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from fimq.errors import ModelInvalid
from fimq.models.package import ModelPackage
from fimq_worker.runtimes.base import checked

#: Its errors have no common parent but Exception.
ERRORS = (
    *(state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf),
    *(state.NoModel, state.NotImplemented, state.RuntimeException),
    *(state.EPFail, state.EngineError),
)
_SILENT = 4  #: fatal errors only; others come back as exceptions


class OnnxRuntime:
    """A package's network in an ONNX Runtime session."""

    name = "onnxruntime"
    precision = "f32"

    def __init__(self, package: ModelPackage) -> None:
        """Load the network.

        Raises:
            ModelInvalid: ONNX Runtime cannot read it.
        """
        self.version = str(onnxruntime.__version__)
        self._classes = len(package.manifest.classes)
        self._session = open_session(package, ["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def score(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the class scores (N, K) of crops."""
        if not len(crops):
            return np.empty((0, self._classes), np.float32)
        try:
            answer = self._session.run(None, {self._input: np.ascontiguousarray(crops)})[0]
        except ERRORS as error:
            raise ModelInvalid("The model does not take crops of this size") from error
        return checked(answer, len(crops), self._classes)


def open_session(package: ModelPackage, providers: list[Any]) -> Any:
    """Load a network into ONNX Runtime.

    Raises:
        ModelInvalid: ONNX Runtime cannot read it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    try:
        session = onnxruntime.InferenceSession(package.onnx, options, providers=providers)
    except ERRORS as error:
        raise ModelInvalid(f"ONNX Runtime cannot load {package.manifest.label}") from error
    # Else a provider that fails in mid-work is replaced by the CPU, and nobody is told.
    session.disable_fallback()
    return session
