"""The package of a fit on crops: what its run, its calibration and its evaluation say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fimq.errors import RunDiffers
from fimq_training.calibration.operating_points import OperatingPoints
from fimq_training.export.assembly import assemble
from fimq_training.export.gate import Passed
from fimq_training.export.onnx import Precision
from fimq_training.export.run_network import of_run
from fimq_training.fitting.run import Run
from fimq_training.manipulations.samples import SERVED


@dataclass(frozen=True, slots=True)
class Release:
    """What a package says about itself beside its figures."""

    name: str
    version: str
    created: datetime
    sources: tuple[dict[str, str], ...]  #: name, source and licence of the data


def write(folder: Path, out: Path, release: Release, precision: Precision = "f16") -> Passed:
    """Write the package of the run in `folder` to `out`.

    Raises:
        RunMissing: there is no fit, or no epoch of it has ended.
        CalibrationMissing: it was not calibrated.
        RunDiffers: it was last measured on another split than it was fitted with.
        ExportFailed, ExportDiffers: as `assemble`.
    """
    run, points = Run.read(folder), OperatingPoints.read(folder)
    exported = of_run(run, folder, precision)
    report = folder / "evaluation" / "report.json"
    facts = _facts(run, points, release)
    if report.exists():
        measured = json.loads(report.read_text("utf-8"))
        if measured["sides"] != run.sides:
            raise RunDiffers(
                f"{folder / 'evaluation'} is of the split {measured['split']}, not of the run's own"
            )
        facts["metrics"]["evaluation"] = _evaluation(measured)
    return assemble(out, exported, facts, precision)


def _facts(run: Run, points: OperatingPoints, release: Release) -> dict[str, Any]:
    size = run.recipe.network.size
    metrics: dict[str, Any] = {
        "operating_points": {
            "wanted": points.wanted,
            "missed": points.missed,
            "simulated_false_positives": points.simulated,
            "real_videos": points.real_videos,
            "real_people": points.real_people,
            "promise": points.promise,
        },
        "fit": {
            "recipe": run.recipe.name,
            "crops": run.crops,
            "split": run.split,
            "seed": run.seed,
        },
    }
    return {
        "name": release.name,
        "version": release.version,
        "sha256": "",
        "input": {"size": size},
        "crop": {"scale": SERVED.scale, "size": size},
        "classes": [{"name": c, "manipulated": run.manipulated[c]} for c in run.classes],
        "calibration": {
            "temperature": points.calibration.temperature,
            "bias": points.calibration.bias,
        },
        "thresholds": {
            "high_precision": points.high_precision,
            "high_recall": points.high_recall,
        },
        "pooling": {"window_penalty": points.window_penalty},
        "sampling": points.sampling,
        "training_data": list(release.sources),
        "metrics": metrics,
        "created": release.created.isoformat(timespec="seconds"),
        "experimental": True,
    }


def _evaluation(measured: dict[str, Any]) -> dict[str, Any]:
    return {
        "split": measured["split"],
        "leaks": measured["leaks"],
        "scores": measured.get("scores", "raw"),  # as all were that do not say so
        "confusion": measured["confusion"],
        **{part["kind"]: _short(part) for part in measured["measures"]},
    }


def _short(measures: dict[str, Any]) -> dict[str, Any]:
    """What a card has room for."""
    kept = ("real", "manipulated", "units", "auc", "equal_error", "calibration_error", "points")
    short = {name: measures[name] for name in kept}
    short["methods"] = measures["parts"]["method"]
    return short
