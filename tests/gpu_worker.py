"""A worker with a GPU on paper, as its environment says.

`PAPER_GPU=lost`: the card is lost at the first batch after the parity gate; `ok`: it works.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fimq.models.package import ModelPackage
from fimq_worker import classifier
from fimq_worker.command import worker
from fimq_worker.runtimes import choose as choosing
from fimq_worker.runtimes.tensorrt.device import Cuda
from fimq_worker.runtimes.tensorrt.flavour import TENSORRT_RTX
from fimq_worker.runtimes.tensorrt.runtime import EngineSource, TensorRtRuntime
from papergpu import CudaError, PaperCuda, PaperTensorRt

OPENVINO = choosing.RUNTIMES["openvino"]


def main() -> None:
    cuda = PaperCuda()

    def load(package: ModelPackage, engines: Path) -> Any:
        source = EngineSource(TENSORRT_RTX, PaperTensorRt(cuda), engines)
        return TensorRtRuntime(source, Cuda(cuda), package, "f16")

    def choose(package: ModelPackage, engines: Path, wanted: str) -> Any:
        chosen = choosing.choose(package, engines, wanted, runtimes)
        if os.environ["PAPER_GPU"] == "lost":
            cuda.broken = CudaError.cudaErrorIllegalAddress
        return chosen

    runtimes = MappingProxyType({"tensorrt-rtx": (load,), "openvino": OPENVINO})
    classifier.choose = choose  # type: ignore[assignment]
    sys.exit(worker.main(prog_name="fimq worker", standalone_mode=False))


if __name__ == "__main__":
    main()
