"""Choosing a runtime: the first one present that passes the model's parity gate.

A runtime that is refused is never silent: each refusal is logged and kept with its reason,
for `fimq doctor`. Who names a runtime gets that one or an error, never another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import structlog

from fimq.errors import ModelInvalid, RuntimeMissing
from fimq.models.package import ModelPackage
from fimq_worker.runtimes import parity
from fimq_worker.runtimes.base import Runtime

AUTO: Final = "auto"
Load = Callable[[ModelPackage], Runtime]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A runtime that may not judge, and why."""

    name: str
    reason: str
    at_fault: Literal["runtime", "model", "nobody"] = "runtime"  #: nobody: it is not installed


@dataclass(frozen=True, slots=True)
class Choice:
    """The runtime that judges, and those that were refused before it."""

    runtime: Runtime
    parity: parity.Parity
    refusals: tuple[Refusal, ...]

    def runtime_facts(self) -> dict[str, str]:
        """What can move a score from one worker to the next."""
        runtime = self.runtime
        return {"name": runtime.name, "version": runtime.version, "precision": runtime.precision}


def _openvino(package: ModelPackage) -> Runtime:
    from fimq_worker.runtimes.openvino import OpenVinoRuntime  # noqa: PLC0415 -- an engine

    return OpenVinoRuntime(package)


def _onnxruntime(package: ModelPackage) -> Runtime:
    from fimq_worker.runtimes.onnxruntime import OnnxRuntime  # noqa: PLC0415 -- an extra

    return OnnxRuntime(package)


#: Best first.
RUNTIMES: Final[Mapping[str, Load]] = MappingProxyType(
    {"openvino": _openvino, "onnxruntime": _onnxruntime}
)


def choose(
    package: ModelPackage, wanted: str = AUTO, runtimes: Mapping[str, Load] = RUNTIMES
) -> Choice:
    """Load the runtime that is to judge with this model.

    Args:
        package: the model.
        wanted: a runtime's name, or `auto` for the first that passes.
        runtimes: what there is to choose from, best first.

    Raises:
        ModelInvalid: every runtime that is installed finds fault with the model itself.
        RuntimeMissing: none passes, or not the one that was named.
    """
    if wanted != AUTO and wanted not in runtimes:
        raise RuntimeMissing(f"There is no runtime {wanted!r}; there is {', '.join(runtimes)}")
    refusals: list[Refusal] = []
    for name, load in runtimes.items():
        if wanted not in {AUTO, name}:
            continue
        judged = _judge(name, load, package)
        if not isinstance(judged, Refusal):
            runtime, result = judged
            return Choice(runtime, result, tuple(refusals))
        _log.warning(
            "runtime_refused", runtime=name, model=package.manifest.label, reason=judged.reason
        )
        refusals.append(judged)
    reasons = "; ".join(f"{refusal.name}: {refusal.reason}" for refusal in refusals)
    if {refusal.at_fault for refusal in refusals} - {"nobody"} == {"model"}:
        raise ModelInvalid(f"{package.manifest.label} cannot be used ({reasons})")
    raise RuntimeMissing(
        f"No runtime may judge with {package.manifest.label} ({reasons})",
        refusals=[refusal.name for refusal in refusals],
    )


def _judge(name: str, load: Load, package: ModelPackage) -> tuple[Runtime, parity.Parity] | Refusal:
    """Load a runtime and put it to the proof."""
    try:
        runtime = load(package)
        result = parity.measure(runtime, package)
    except ImportError:
        return Refusal(name, "not installed", "nobody")
    except ModelInvalid as error:
        return Refusal(name, error.message, "model")
    return (runtime, result) if result.passes else Refusal(name, f"fails the parity gate: {result}")
