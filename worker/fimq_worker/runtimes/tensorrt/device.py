"""CUDA, by NVIDIA's own bindings: errors, the card, buffers, a stream.

Every call answers with an error code, which is checked. The card is the first one that
CUDA shows to this process: `CUDA_VISIBLE_DEVICES` says which.
"""

from __future__ import annotations

import ctypes
import weakref
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fimq.errors import GpuFailed, GpuLost, RuntimeUnusable

_DEVICE: Final = 0


@dataclass(frozen=True, slots=True)
class Gpu:
    """The card that is used."""

    name: str
    major: int
    minor: int

    @property
    def sm(self) -> str:
        """Its compute capability, as in SM89."""
        return f"SM{self.major}{self.minor}"


class Cuda:
    """The CUDA runtime. `runtime` is `cuda.bindings.runtime`, or what behaves like it."""

    def __init__(self, runtime: Any) -> None:
        """Keep the bindings; call nothing yet."""
        self.runtime = runtime

    @classmethod
    def load(cls) -> Cuda:
        """Import the bindings.

        Raises:
            RuntimeUnusable: they are not installed.
        """
        try:
            return cls(import_module("cuda.bindings.runtime"))
        except ImportError as error:
            raise RuntimeUnusable(f"cuda-bindings cannot be loaded: {error}") from error

    def gpu(self) -> Gpu:
        """The card of this process.

        Raises:
            RuntimeUnusable: there is none, or its driver is missing or too old.
        """
        cuda = self.runtime
        success = cuda.cudaError_t.cudaSuccess
        _, driver = cuda.cudaDriverGetVersion()
        if not driver:
            raise RuntimeUnusable("no NVIDIA driver is loaded on this machine")
        error, count = cuda.cudaGetDeviceCount()
        if error != success:
            needs = f"the driver knows CUDA {_version(driver)}"
            raise RuntimeUnusable(f"no usable GPU: {self._says(error)} ({needs})")
        if not count:
            raise RuntimeUnusable("no GPU is visible to this process")
        error, facts = cuda.cudaGetDeviceProperties(_DEVICE)
        if error != success:
            raise RuntimeUnusable(f"no usable GPU: {self._says(error)}")
        return Gpu(facts.name.split(b"\0")[0].decode(errors="replace"), facts.major, facts.minor)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the CUDA runtime and return what it gives besides the error code.

        Raises:
            GpuFailed: it failed; the card still answers.
            GpuLost: the card does not answer this process any more.
        """
        error, *answers = getattr(self.runtime, name)(*arguments)
        if error != self.runtime.cudaError_t.cudaSuccess:
            raise self.failure(f"{name}: {self._says(error)}")
        return answers[0] if answers else None

    def failure(self, says: str) -> GpuFailed:
        """What a failure means for this process.

        Some errors leave a context broken for good: then every later call fails, too. Asking
        is surer than a list of them.
        """
        cuda = self.runtime
        cuda.cudaGetLastError()
        (error,) = cuda.cudaDeviceSynchronize()
        if error == cuda.cudaError_t.cudaSuccess:
            return GpuFailed(f"The GPU failed ({says})")
        return GpuLost(f"The GPU was lost ({says}; now {self._says(error)})")

    def _says(self, error: Any) -> str:
        _, text = self.runtime.cudaGetErrorString(error)
        return text.decode(errors="replace") if isinstance(text, bytes) else str(error)


class Buffer:
    """One tensor's memory, pinned on the host and on the card, for its largest batch."""

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        """Allocate both.

        Raises:
            GpuFailed: there is no memory left.
        """
        kind = np.dtype(dtype)
        self._cuda = cuda
        size = int(np.prod(shape)) * kind.itemsize
        pinned = cuda.call("cudaMallocHost", size)
        # Not at exit: CUDA may be gone by then, and the process's memory goes anyhow.
        weakref.finalize(self, cuda.runtime.cudaFreeHost, pinned).atexit = False
        self.address = cuda.call("cudaMalloc", size)
        weakref.finalize(self, cuda.runtime.cudaFree, self.address).atexit = False
        self._pinned = int(pinned)
        memory: Any = (ctypes.c_uint8 * size).from_address(self._pinned)
        self.host: NDArray[Any] = np.frombuffer(memory, kind).reshape(shape)

    def send(self, count: int, stream: Any) -> None:
        """Copy the first `count` rows to the card, in the order of `stream`."""
        kind = self._cuda.runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        size = self.host[:count].nbytes
        self._cuda.call("cudaMemcpyAsync", self.address, self._pinned, size, kind, stream)

    def fetch(self, count: int, stream: Any) -> None:
        """Copy the first `count` rows from the card, in the order of `stream`."""
        kind = self._cuda.runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        size = self.host[:count].nbytes
        self._cuda.call("cudaMemcpyAsync", self._pinned, self.address, size, kind, stream)


class Stream:
    """A queue of work on the card that does not wait for any other."""

    def __init__(self, cuda: Cuda) -> None:
        """Make it.

        Raises:
            GpuFailed: it cannot be made.
        """
        self._cuda = cuda
        flags = cuda.runtime.cudaStreamNonBlocking
        self.handle = cuda.call("cudaStreamCreateWithFlags", flags)
        weakref.finalize(self, cuda.runtime.cudaStreamDestroy, self.handle).atexit = False

    def wait(self) -> None:
        """Wait until all that was asked for is done.

        Raises:
            GpuFailed, GpuLost: some of it failed.
        """
        self._cuda.call("cudaStreamSynchronize", self.handle)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
