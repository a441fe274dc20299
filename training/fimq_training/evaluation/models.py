"""What can be measured: the folder of a fit, or a package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fimq.errors import RunMissing
from fimq.models.package import ModelPackage
from fimq_training.evaluation.predictions import Model
from fimq_training.export.run_network import of_run
from fimq_training.fitting.run import FILE, Run


def load(folder: Path) -> Model:
    """The model of a run's best epoch, or of a package.

    Raises:
        RunMissing: there is neither a fit nor a package.
        ModelMissing, ModelInvalid: the package is not whole.
    """
    if (folder / FILE).exists():
        return _of_run(folder)
    if (folder / "manifest.json").exists():
        return _of_package(ModelPackage.open(folder))
    raise RunMissing(f"{folder} holds neither a fit nor a package")


def _of_run(folder: Path) -> Model:
    run = Run.read(folder)
    network = of_run(run, folder)
    flags = tuple(run.manipulated[name] for name in run.classes)
    return Model(run.recipe.name, run.classes, flags, network.size, network.score)


def _of_package(package: ModelPackage) -> Model:
    import onnxruntime  # noqa: PLC0415 - runs need none

    manifest = package.manifest
    session = onnxruntime.InferenceSession(package.onnx, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def score(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        raw = np.asarray(session.run(None, {name: crops})[0], np.float64)
        return _calibrated(raw, package)

    return Model(
        manifest.label,
        tuple(part.name for part in manifest.classes),
        tuple(part.manipulated for part in manifest.classes),
        manifest.input.size,
        score,
    )


def _calibrated(raw: NDArray[np.float64], package: ModelPackage) -> NDArray[np.float64]:
    """Class scores whose manipulated sum is the calibrated score; shares inside stay."""
    manifest = package.manifest
    flags = np.array([part.manipulated for part in manifest.classes])
    result = raw.copy()
    for row in result:
        wanted = manifest.manipulated_score(row.tolist())
        row[flags] *= wanted / max(row[flags].sum(), 1e-12)
        row[~flags] *= (1 - wanted) / max(row[~flags].sum(), 1e-12)
    return result
