"""The gate of an export: the file must score as the network does, or nothing is written.

Through every CPU runtime that is installed, on the package's golden crops and on more; and,
where TensorRT-RTX is installed, its engine must build. A difference above the tolerance that
workers hold runtimes to, or a class that flips, refuses the package.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from fimq.errors import ExportDiffers, FimqError
from fimq.models.package import ModelPackage
from fimq_training.export.onnx import Exported
from fimq_worker.runtimes.choose import choose
from fimq_worker.runtimes.parity import MOST_DIFFERENCE

log = structlog.get_logger(__name__)

RUNTIMES = ("onnxruntime", "openvino")
MORE = 48  #: crops beside the golden ones
CLEAR = 0.02  #: a lead by which a class must stay the likeliest
_CARD = "SM89"  #: the card that an engine is built for


@dataclass(frozen=True, slots=True)
class Passed:
    """How far the file is from the network, by runtime."""

    differences: dict[str, float]
    engine_bytes: int | None  #: of TensorRT-RTX's engine; None where it is not installed


def check(folder: Path, network: Exported) -> Passed:
    """Hold the package in `folder` to the network that it was made of.

    Raises:
        ExportDiffers: a runtime scores otherwise, cannot load it, or its engine does not build.
    """
    package = ModelPackage.open(folder)
    crops = _crops(network.size)
    wanted = network.score(crops)
    differences = {}
    with tempfile.TemporaryDirectory() as engines:
        for name in RUNTIMES:
            try:
                runtime = choose(package, Path(engines), name).runtime
            except FimqError as error:
                raise ExportDiffers(f"{name} refuses the file: {error.message}") from error
            differences[name] = _difference(name, wanted, runtime.score(crops))
        size = _engine(package, Path(engines)) if find_spec("tensorrt_rtx") else None
    return Passed(differences, size)


def _difference(name: str, wanted: NDArray[np.float64], found: NDArray[np.float32]) -> float:
    difference = float(np.abs(found - wanted).max())
    ranked = np.sort(wanted, 1)
    clear = ranked[:, -1] - ranked[:, -2] > CLEAR
    flips = int((found.argmax(1) != wanted.argmax(1))[clear].sum())
    if difference > MOST_DIFFERENCE or flips:
        raise ExportDiffers(
            f"{name} scores the file up to {difference:.1e} away from the network, "
            f"and {flips} of {len(wanted)} classes flip"
        )
    return difference


def _engine(package: ModelPackage, engines: Path) -> int:
    from fimq_worker.runtimes.base import NoSuchPrecision  # noqa: PLC0415 - an extra
    from fimq_worker.runtimes.tensorrt.flavour import TENSORRT_RTX  # noqa: PLC0415 - an extra
    from fimq_worker.runtimes.tensorrt.runtime import EngineSource  # noqa: PLC0415 - an extra

    try:
        source = EngineSource(TENSORRT_RTX, TENSORRT_RTX.load(), engines)
        try:
            return len(source.get(package, source.key(package, _CARD, "f16")))
        except NoSuchPrecision as error:
            log.warning("no engine in half precision", reason=error.message)
            return len(source.get(package, source.key(package, _CARD, "f32")))
    except FimqError as error:
        raise ExportDiffers(f"TensorRT-RTX builds no engine: {error.message}") from error


def _crops(size: int) -> NDArray[np.uint8]:
    """Smooth pictures and noise: what a damaged layer cannot pass by chance."""
    rng = np.random.default_rng(7)
    cells = rng.integers(0, 256, (MORE, 8, 8, 3)).astype(np.uint8)
    step = -(-size // 8)
    large = cells.repeat(step, 1).repeat(step, 2)[:, :size, :size]
    noise = rng.integers(-20, 21, large.shape)
    crops: NDArray[np.uint8] = np.clip(large.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    return crops
