"""The package of `fimq-default`: what its report on held-out people says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fimq.models.manifest import Manifest
from fimq_training.datasets.catalogue import SOURCES
from fimq_training.evaluation.report import Report
from fimq_training.export.assembly import assemble
from fimq_training.export.gate import Passed
from fimq_training.export.onnx import Network
from fimq_training.manipulations.samples import SERVED
from fimq_training.networks.folded_model import Weights
from fimq_worker.vision.crops import CropRule


@dataclass(frozen=True, slots=True)
class Release:
    """What a package says about itself beside its figures."""

    created: datetime
    steps: int  #: of the fit, all together
    pairs: int  #: of a step
    recipe: str  #: that it was made by
    name: str
    version: str
    sampling: str = "every:25"
    crop: CropRule = SERVED  #: as the model is served
    ancestor: Manifest | None = None  #: of the package that its fit went on from
    remade: bool = False  #: whether that was made on the way
    after: str | None = None  #: the recipe that makes it
    data: str | None = None  #: hash of the list of files, and so of who is held out
    rendered: bool = False  #: whether pairs were rendered by painters
    kept: float = 0  #: share that the weights of the ancestor keep


def write_package(
    folder: Path,
    weights: Weights,
    report: Report,
    *,
    release: Release,
    folders: Iterable[str],
    outside: Mapping[str, Any],
) -> Passed:
    """Write the four files.

    Args:
        folder: where; what was there is replaced.
        weights: of `folded`.
        report: the figures on held-out people.
        release: name, version, date, crop.
        folders: the data folders that the model was trained on.
        outside: figures measured on data that may not be part of this package.

    Raises:
        ExportFailed, ExportDiffers: as `assemble`.
    """
    network = Network(weights, release.crop.size)
    return assemble(folder, network, manifest(report, release, folders, outside))


def manifest(
    report: Report, release: Release, folders: Iterable[str], outside: Mapping[str, Any]
) -> dict[str, Any]:
    """The manifest but for the hash of the model file."""
    sources = [asdict(SOURCES[folder]) for folder in sorted(folders)]
    if release.ancestor:
        before = [source.model_dump() for source in release.ancestor.training_data]
        sources += [source for source in before if source not in sources]
    return {
        "name": release.name,
        "version": release.version,
        "sha256": "",
        "input": {"size": release.crop.size},
        "crop": {"scale": release.crop.scale, "size": release.crop.size},
        "classes": [
            {"name": "real", "manipulated": False},
            {"name": "manipulated", "manipulated": True},
        ],
        "calibration": _rounded(asdict(report.calibration)),
        "thresholds": _rounded(asdict(report.thresholds)),
        "sampling": release.sampling,
        "training_data": sources,
        "metrics": _rounded(_metrics(report, release, outside)),
        "created": release.created.isoformat(timespec="seconds"),
        "experimental": True,
    }


def _metrics(report: Report, release: Release, outside: Mapping[str, Any]) -> dict[str, Any]:
    facts = asdict(report)
    del facts["calibration"], facts["thresholds"]
    fit: dict[str, Any] = {
        "steps": release.steps,
        "pairs": release.pairs,
        "made_by": release.recipe,
        "data": release.data,
        "rendered": release.rendered,
    }
    if release.ancestor:
        fit["from"] = {
            "label": release.ancestor.label,
            "network": release.ancestor.sha256,
            "fit": release.ancestor.metrics.get("fit"),
            "remade": release.remade,
            "after": release.after,
            "kept": release.kept,
        }
    return {"held_out": facts, "fit": fit, **outside}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value
