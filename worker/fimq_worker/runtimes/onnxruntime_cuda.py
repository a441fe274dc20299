"""ONNX Runtime on an NVIDIA GPU: every card that its CUDA knows, no engine to build.

Of the package onnxruntime-gpu, which installs the same module as onnxruntime. Asked for
CUDA where it cannot be used, ONNX Runtime computes on the CPU and says so on stderr only:
here that is an error. TF32 is off, so that f32 is f32.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from fimq.errors import GpuFailed, GpuLost, ModelInvalid, RuntimeNotInstalled, RuntimeUnusable
from fimq.models.package import ModelPackage
from fimq_worker.runtimes.base import checked
from fimq_worker.runtimes.onnxruntime import ERRORS, open_session

_CUDA: Final = "CUDAExecutionProvider"
_OPTIONS: Final = {
    "use_tf32": "0",
    # The exhaustive search times every kernel anew for each new size of a batch.
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
}
_SILENT, _WARNINGS = 4, 2
#: What its messages name when not the model is at fault.
_CARD: Final = ("CUDA", "CUDNN", "CUBLAS", "MEMORY")
#: What its messages say when memory ran out; the context lives on. After anything else it may
#: not, and nothing here can ask it.
_MEMORY: Final = ("allocate", "out of memory")


class CudaOnnxRuntime:
    """A package's network in an ONNX Runtime session on the first GPU that CUDA shows."""

    name = "onnxruntime-cuda"
    precision = "f32"

    def __init__(self, package: ModelPackage) -> None:
        """Load the network.

        Raises:
            RuntimeNotInstalled: this ONNX Runtime was built without CUDA.
            RuntimeUnusable: CUDA cannot be used here.
            ModelInvalid: ONNX Runtime cannot read the network.
        """
        if _CUDA not in onnxruntime.get_available_providers():
            raise RuntimeNotInstalled
        self.version = str(onnxruntime.__version__)
        self._classes = len(package.manifest.classes)
        self._size = package.manifest.input.size
        missing = _load_libraries()
        onnxruntime.set_default_logger_severity(_SILENT)
        try:
            self._session = open_session(package, [(_CUDA, _OPTIONS)])
        except ModelInvalid as error:
            raise not_loaded(error) from error
        finally:
            onnxruntime.set_default_logger_severity(_WARNINGS)
        if self._session.get_providers()[0] != _CUDA:
            why = missing or "no NVIDIA driver, or no GPU that its CUDA can use"
            raise RuntimeUnusable(f"ONNX Runtime fell back to the CPU: {why}")
        self._input = self._session.get_inputs()[0].name

    def score(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the class scores (N, K) of crops."""
        if not len(crops):
            return np.empty((0, self._classes), np.float32)
        if crops.shape[1:] != (self._size, self._size, 3):
            raise ModelInvalid("The model does not take crops of this size")
        try:
            answer = self._session.run(None, {self._input: np.ascontiguousarray(crops)})[0]
        except ERRORS as error:
            raise failure(str(error)) from error
        return checked(answer, len(crops), self._classes)


def not_loaded(error: ModelInvalid) -> ModelInvalid | RuntimeUnusable:
    """Whether it was the model or the card that a session failed of."""
    says = str(error.__cause__)
    if not any(word in says.upper() for word in _CARD):
        return error
    return RuntimeUnusable(f"ONNX Runtime cannot use the GPU: {_line(says)}")


def failure(says: str) -> GpuFailed:
    """What an error of a running session means for this process."""
    kind = GpuFailed if any(word in says for word in _MEMORY) else GpuLost
    return kind(f"ONNX Runtime failed on the GPU: {_line(says)}")


def _line(says: str) -> str:
    return next(iter(says.splitlines()), "")


def _load_libraries() -> str:
    """Load CUDA and cuDNN from the wheels that carry them; what the first missing one says."""
    said = io.StringIO()
    with redirect_stdout(said):  # it prints
        onnxruntime.preload_dlls(msvc=False)
    return _line(said.getvalue())
