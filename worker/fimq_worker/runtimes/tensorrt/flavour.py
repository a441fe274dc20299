"""The two packages of TensorRT, and what tells them apart.

`tensorrt` times its kernels on the card, so that an engine is for one kind of card. An engine
of `tensorrt_rtx` is for a compute capability, can be built where there is no card, and is
finished on the card when it is loaded. The rest of their API is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from fimq.errors import RuntimeNotInstalled, RuntimeUnusable
from fimq_worker.runtimes.tensorrt.device import Gpu


@dataclass(frozen=True, slots=True)
class Flavour:
    """One of the packages."""

    name: str  #: of the runtime
    module: str
    ahead: bool  #: engines are for a compute capability, which is named when they are built

    def load(self) -> Any:
        """Import the package.

        Raises:
            RuntimeNotInstalled: it is not installed.
            RuntimeUnusable: it is, but its libraries are not to be had.
        """
        if find_spec(self.module) is None:
            raise RuntimeNotInstalled
        try:
            return import_module(self.module)
        except (ImportError, OSError) as error:
            raise RuntimeUnusable(f"installed, but cannot be loaded: {error}") from error

    def target(self, trt: Any, gpu: Gpu) -> str:
        """What an engine for this card is built for.

        Raises:
            RuntimeUnusable: the package does not know the card.
        """
        if not self.ahead:
            return f"{gpu.name} {gpu.sm}"
        if gpu.sm not in self.capabilities(trt):
            raise RuntimeUnusable(
                f"{self.name} does not know {gpu.sm} ({gpu.name}): use tensorrt or onnxruntime-cuda"
            )
        return gpu.sm

    def capabilities(self, trt: Any) -> Sequence[str]:
        """The compute capabilities that engines can be built for ahead of time."""
        if not self.ahead:
            return ()
        return [name for name in trt.ComputeCapability.__members__ if name.startswith("SM")]


TENSORRT: Final = Flavour("tensorrt", "tensorrt", ahead=False)
TENSORRT_RTX: Final = Flavour("tensorrt-rtx", "tensorrt_rtx", ahead=True)
#: By name, the faster one first.
FLAVOURS: Final = {flavour.name: flavour for flavour in (TENSORRT, TENSORRT_RTX)}
