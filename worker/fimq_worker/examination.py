"""The worker's side of `fimq doctor`: runtimes and sandbox, as a worker here finds them.

Run as `python -m fimq_worker.examination MODEL`; prints a JSON list of findings.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from fimq import logs
from fimq.errors import FimqError, ModelMissing, RuntimeMissing, RuntimeNotInstalled
from fimq.models.package import ModelPackage
from fimq.models.registry import open_registry
from fimq.settings import Settings, load_settings
from fimq_worker.child.client import ChildPool
from fimq_worker.runtimes.choose import AUTO, RUNTIMES, choose

#: What each layer of the child's sandbox keeps out, and what to do where it is missing.
_LAYER_HINTS = {
    "landlock": "Needs Linux 5.13 with Landlock enabled.",
    "seccomp": "Needs a kernel with seccomp filters.",
    "network": "Needs unprivileged user namespaces.",
}
_GPU_HINT = "Another one judges, unless FIMQ_RUNTIME names this one."


def findings(settings: Settings, model: str) -> list[dict[str, Any]]:
    """What a worker on this machine would find."""
    return [*_runtimes(settings, model), *_sandbox(settings)]


def _finding(what: str, state: str, says: str, hint: str = "") -> dict[str, Any]:
    return {"what": what, "state": state, "says": says, "hint": hint}


def _runtimes(settings: Settings, model: str) -> list[dict[str, Any]]:
    try:
        with open_registry(settings) as registry:
            package = registry.open(registry.find(settings.tenant, model))
    except ModelMissing as error:
        return [_finding("runtime", "note", error.message, error.hint)]
    except FimqError as error:
        return [_finding("runtime", "bad", error.message, error.hint)]
    rows: list[dict[str, Any]] = []
    judges: list[str] = []
    absent: list[str] = []
    for name in RUNTIMES:
        try:
            chosen = choose(package, settings.engines, name)
        except RuntimeNotInstalled:
            absent.append(name)
            continue
        except FimqError as error:
            # One is enough; the others are extras.
            says = error.facts.get("reasons", {}).get(name, error.message)
            hint = _GPU_HINT if isinstance(error, RuntimeMissing) else error.hint
            rows.append(_finding(name, "note", says, hint))
            continue
        judges.append(name)
        runtime = chosen.runtime
        says = f"{runtime.version} {runtime.precision}, {chosen.parity}"
        for refusal in chosen.refusals:
            says += f"; {refusal.reason}"
        rows.append(_finding(name, "ok", says))
    if absent:
        rows.append(_finding("other runtimes", "note", f"not installed: {', '.join(absent)}"))
    rows.append(_judge(settings, package, judges))
    return rows


def _judge(settings: Settings, package: ModelPackage, judges: list[str]) -> dict[str, Any]:
    """Which of the runtimes that may judge does."""
    wanted = settings.runtime
    if wanted == AUTO and judges:
        return _finding("runtime", "ok", f"{AUTO}: {judges[0]} judges")
    if wanted in judges:
        return _finding("runtime", "ok", f"{wanted} judges")
    try:
        choose(package, settings.engines, wanted)
    except FimqError as error:
        return _finding("runtime", "bad", error.message, error.hint)
    return _finding("runtime", "ok", f"{wanted} judges")


def _sandbox(settings: Settings) -> list[dict[str, Any]]:
    children = ChildPool(settings)
    try:
        with children.borrow() as child:
            layers = child.layers()
    except FimqError as error:
        return [_finding("decode child", "bad", error.message, error.hint)]
    finally:
        children.close()
    return [
        _finding("face finder", "ok", settings.face_finder),
        *_layers(layers),
    ]


def _layers(layers: dict[str, bool]) -> list[dict[str, Any]]:
    return [
        _finding(
            f"child: {layer}",
            "ok" if active else "note",
            "active" if active else "not active on this machine",
            "" if active else _LAYER_HINTS.get(layer, ""),
        )
        for layer, active in layers.items()
    ]


if __name__ == "__main__":
    logs.configure("error")
    sys.stdout.write(json.dumps(findings(load_settings(), sys.argv[1])))
