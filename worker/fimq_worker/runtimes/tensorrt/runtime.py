"""The TensorRT runtimes: a model's engine, from the cache or built now, and its execution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fimq.errors import ModelInvalid, RuntimeUnusable
from fimq.models.package import ModelPackage
from fimq_worker.runtimes.base import NoSuchPrecision, checked
from fimq_worker.runtimes.tensorrt.building import build
from fimq_worker.runtimes.tensorrt.cache import EngineCache
from fimq_worker.runtimes.tensorrt.device import Cuda
from fimq_worker.runtimes.tensorrt.execution import Execution
from fimq_worker.runtimes.tensorrt.flavour import Flavour
from fimq_worker.runtimes.tensorrt.half import halved
from fimq_worker.runtimes.tensorrt.key import EngineKey, Precision, Profile
from fimq_worker.runtimes.tensorrt.messages import Messages


class EngineSource:
    """Where engines come from: one package of TensorRT, and the folder they are kept in."""

    def __init__(self, flavour: Flavour, trt: Any, folder: Path) -> None:
        """Build nothing yet."""
        self.flavour = flavour
        self.trt = trt
        self.cache = EngineCache(folder)
        self.messages = Messages()
        self.logger = self.messages.logger(trt)

    def key(self, package: ModelPackage, target: str, precision: Precision) -> EngineKey:
        """The key of a model's engine. `target` is as `Flavour.target` names it."""
        return EngineKey(
            package.manifest.sha256,
            self.flavour.name,
            str(self.trt.__version__),
            target,
            precision,
        )

    def get(self, package: ModelPackage, key: EngineKey) -> bytes:
        """A model's engine, built if need be.

        Raises:
            NoSuchPrecision: the model has none in half precision.
            ModelInvalid: TensorRT cannot read the network.
            RuntimeUnusable: no engine came of it.
        """
        return self.cache.get(key, lambda: self._build(package, key))

    def _build(self, package: ModelPackage, key: EngineKey) -> bytes:
        half = key.precision == "f16"
        network = halved(package.onnx) if half else package.onnx
        try:
            return build(
                self.trt,
                self.messages,
                self.logger,
                network,
                size=package.manifest.input.size,
                profile=key.profile,
                capability=key.gpu if self.flavour.ahead else "",
            )
        except (ModelInvalid, RuntimeUnusable) as error:
            if half:
                raise NoSuchPrecision(f"f16 is not possible: {error.message}") from error
            raise


class TensorRtRuntime:
    """A package's network in a TensorRT engine on this machine's first GPU."""

    def __init__(
        self, source: EngineSource, cuda: Cuda, package: ModelPackage, precision: Precision
    ) -> None:
        """Load the model's engine, and build it first if it is not in the cache.

        Raises:
            NoSuchPrecision: the model has no engine in half precision.
            RuntimeUnusable, GpuFailed: there is no GPU, or it or its driver will not do.
            ModelInvalid: TensorRT cannot read the network.
        """
        target = source.flavour.target(source.trt, cuda.gpu())
        key = source.key(package, target, precision)
        self.name = key.runtime
        self.version = key.version
        self.precision = key.precision
        self._classes = len(package.manifest.classes)
        self._profile: Profile = key.profile
        self._size = package.manifest.input.size
        self._logger = source.logger
        self._runtime = source.trt.Runtime(source.logger)
        self._execution = Execution(
            source.trt,
            cuda,
            source.messages,
            self._engine(source, package, key),
            most=key.profile.most,
            size=self._size,
        )

    def score(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the class scores (N, K) of crops."""
        if not len(crops):
            return np.empty((0, self._classes), np.float32)
        if crops.shape[1:] != (self._size, self._size, 3):
            raise ModelInvalid("The model does not take crops of this size")
        most = self._profile.most
        batches = [crops[start : start + most] for start in range(0, len(crops), most)]
        answers = np.concatenate([self._execution.run(batch) for batch in batches])
        return checked(answers, len(crops), self._classes)

    def _engine(self, source: EngineSource, package: ModelPackage, key: EngineKey) -> Any:
        """The engine, loaded. One that is whole and will not load is built again, once."""
        for _ in range(2):
            engine = self._runtime.deserialize_cuda_engine(source.get(package, key))
            if engine is not None:
                return engine
            why = source.messages.why()
            source.cache.discard(key, f"TensorRT cannot load it: {why}")
        raise RuntimeUnusable(f"TensorRT cannot load the engine that it built: {why}")


def load(
    flavour: Flavour, package: ModelPackage, engines: Path, precision: Precision
) -> TensorRtRuntime:
    """Load a model into one of TensorRT's packages.

    Raises:
        RuntimeNotInstalled: the package is not installed.
        RuntimeUnusable: it is, and cannot be used here.
        NoSuchPrecision, ModelInvalid, GpuFailed: as TensorRtRuntime says.
    """
    source = EngineSource(flavour, flavour.load(), engines)
    return TensorRtRuntime(source, Cuda.load(), package, precision)
