"""Choosing a runtime: the first one present that passes the model's parity gate.

One that is not installed is no news. One that is installed and may not judge is refused,
and never silently: one line in the log, one in `fimq doctor`, one in every verdict. Who
names a runtime gets that one or an error, never another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import structlog

from fimq.errors import (
    FimqError,
    GpuFailed,
    ModelInvalid,
    RuntimeMissing,
    RuntimeNotInstalled,
    RuntimeUnusable,
)
from fimq.models.package import ModelPackage
from fimq_worker.runtimes import parity
from fimq_worker.runtimes.base import NoSuchPrecision, Runtime
from fimq_worker.runtimes.tensorrt.flavour import FLAVOURS

AUTO: Final = "auto"
#: Loads a runtime for a model; the folder is the one that engines are kept in.
Load = Callable[[ModelPackage, Path], Runtime]
#: A runtime's ways to load a model, the fastest first. The next one is tried when what the
#: one before computes is not the model's: in half precision, then in single.
Ways = tuple[Load, ...]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A runtime, or its faster way, that may not judge, and why."""

    name: str
    reason: str
    #: machine: it never saw the model; nobody: it is not installed
    at_fault: Literal["runtime", "model", "machine", "nobody"] = "runtime"


@dataclass(frozen=True, slots=True)
class Choice:
    """The runtime that judges, and what was refused before it though it is installed."""

    runtime: Runtime
    parity: parity.Parity
    refusals: tuple[Refusal, ...]

    def runtime_facts(self) -> dict[str, str]:
        """What can move a score from one worker to the next."""
        runtime = self.runtime
        return {"name": runtime.name, "version": runtime.version, "precision": runtime.precision}


def _openvino(package: ModelPackage, _engines: Path) -> Runtime:
    from fimq_worker.runtimes.openvino import OpenVinoRuntime  # noqa: PLC0415 -- an engine

    return OpenVinoRuntime(package)


def _onnxruntime(package: ModelPackage, _engines: Path) -> Runtime:
    _need("onnxruntime")
    from fimq_worker.runtimes.onnxruntime import OnnxRuntime  # noqa: PLC0415 -- an extra

    return OnnxRuntime(package)


def _onnxruntime_cuda(package: ModelPackage, _engines: Path) -> Runtime:
    _need("onnxruntime")
    from fimq_worker.runtimes.onnxruntime_cuda import CudaOnnxRuntime  # noqa: PLC0415 -- an extra

    return CudaOnnxRuntime(package)


def _tensorrt(
    name: str, precision: Literal["f16", "f32"], package: ModelPackage, engines: Path
) -> Runtime:
    flavour = FLAVOURS[name]
    _need(flavour.module)
    from fimq_worker.runtimes.tensorrt.runtime import load  # noqa: PLC0415 -- an extra

    return load(flavour, package, engines, precision)


def _need(module: str) -> None:
    """Tell a runtime that is absent from one that is broken: both fail to import."""
    if find_spec(module) is None:
        raise RuntimeNotInstalled


#: Best first.
RUNTIMES: Final[Mapping[str, Ways]] = MappingProxyType(
    {
        **{
            name: (partial(_tensorrt, name, "f16"), partial(_tensorrt, name, "f32"))
            for name in FLAVOURS
        },
        "onnxruntime-cuda": (_onnxruntime_cuda,),
        "openvino": (_openvino,),
        "onnxruntime": (_onnxruntime,),
    }
)


def choose(
    package: ModelPackage,
    engines: Path,
    wanted: str = AUTO,
    runtimes: Mapping[str, Ways] = RUNTIMES,
) -> Choice:
    """Load the runtime that is to judge with this model.

    Args:
        package: the model.
        engines: folder of the engines that were built here.
        wanted: a runtime's name, or `auto` for the first that passes.
        runtimes: what there is to choose from, best first.

    Raises:
        ModelInvalid: every runtime that can be used here finds fault with the model itself.
        RuntimeNotInstalled: the one that was named is not installed.
        RuntimeMissing: none passes, or not the one that was named.
    """
    if wanted != AUTO and wanted not in runtimes:
        raise RuntimeMissing(f"There is no runtime {wanted!r}; there is {', '.join(runtimes)}")
    refusals: list[Refusal] = []
    for name, ways in runtimes.items():
        if wanted not in {AUTO, name}:
            continue
        found, refusal = _judge(name, ways, package, engines)
        if refusal is not None:
            refusals.append(refusal)
            if refusal.at_fault != "nobody":
                label = package.manifest.label
                _log.warning("runtime_refused", runtime=name, model=label, reason=refusal.reason)
        if found is not None:
            news = tuple(refusal for refusal in refusals if refusal.at_fault != "nobody")
            return Choice(*found, news)
    raise _none(package.manifest.label, wanted, refusals)


def _none(label: str, wanted: str, refusals: list[Refusal]) -> FimqError:
    """The error that says why no runtime judges."""
    at_fault = {refusal.at_fault for refusal in refusals}
    if wanted != AUTO and at_fault == {"nobody"}:
        return RuntimeNotInstalled(f"The runtime {wanted} is not installed")
    reasons = {refusal.name: refusal.reason for refusal in refusals}
    says = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    if at_fault - {"nobody", "machine"} == {"model"}:
        return ModelInvalid(f"{label} cannot be used ({says})", reasons=reasons)
    return RuntimeMissing(f"No runtime may judge with {label} ({says})", reasons=reasons)


def _judge(
    name: str, ways: Ways, package: ModelPackage, engines: Path
) -> tuple[tuple[Runtime, parity.Parity] | None, Refusal | None]:
    """Put each way of a runtime to the proof: the first that passes, and what others failed of."""
    failures: list[str] = []
    for load in ways:
        try:
            runtime = load(package, engines)
            result = parity.measure(runtime, package)
        except RuntimeNotInstalled:
            return None, Refusal(name, "not installed", "nobody")
        except NoSuchPrecision as error:
            failures.append(error.message)
            continue
        except (RuntimeUnusable, GpuFailed) as error:
            return None, Refusal(name, "; ".join([*failures, error.message]), "machine")
        except ImportError as error:
            says = f"installed, but cannot be loaded: {error}"
            return None, Refusal(name, says, "machine")
        except ModelInvalid as error:
            return None, Refusal(name, error.message, "model")
        if result.passes:
            refusal = Refusal(name, "; ".join(failures)) if failures else None
            return (runtime, result), refusal
        failures.append(f"{runtime.precision} fails the parity gate: {result}")
    return None, Refusal(name, "; ".join(failures))
