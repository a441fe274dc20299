"""What can be measured: the folder of a fit, or a package."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fimq.errors import RunMissing
from fimq.models.package import ModelPackage
from fimq.policy.pooling import PoolingRule
from fimq_training.calibration import operating_points
from fimq_training.calibration.operating_points import OperatingPoints
from fimq_training.calibration.temperature import Calibration
from fimq_training.evaluation.predictions import Model
from fimq_training.export.run_network import of_run
from fimq_training.fitting.run import FILE, Run


def load(folder: Path, *, raw: bool = False) -> Model:
    """The model of a run's best epoch, or of a package.

    Its scores are calibrated, and those of a video pooled, as its own calibration says; those of
    a run that has none are raw.

    Args:
        folder: of the run or the package.
        raw: leave scores as the network gives them.

    Raises:
        RunMissing: there is neither a fit nor a package.
        CalibrationMissing: the run's calibration is not whole.
        ModelMissing, ModelInvalid: the package is not whole.
    """
    if (folder / FILE).exists():
        model, own = _of_run(folder)
    elif (folder / "manifest.json").exists():
        model, own = _of_package(ModelPackage.open(folder))
    else:
        raise RunMissing(f"{folder} holds neither a fit nor a package")
    return model if raw else own.given_to(model)


@dataclass(frozen=True, slots=True)
class _Own:
    """What a model's calibration says."""

    calibration: Calibration | None = None
    pooling: PoolingRule = field(default_factory=PoolingRule)

    def given_to(self, model: Model) -> Model:
        """The model with it."""
        if self.calibration is None:
            return replace(model, pooling=self.pooling)
        by, flags = self.calibration, np.array(model.manipulated)
        return replace(
            model,
            scorer=lambda crops: _calibrated(model.scorer(crops), flags, by),
            calibrated=True,
            pooling=self.pooling,
        )


def _of_run(folder: Path) -> tuple[Model, _Own]:
    run = Run.read(folder)
    network = of_run(run, folder)
    flags = tuple(run.manipulated[name] for name in run.classes)
    model = Model(run.recipe.name, run.classes, flags, network.size, network.score)
    if not (folder / operating_points.FILE).exists():
        return model, _Own()
    points = OperatingPoints.read(folder)
    return model, _Own(points.calibration, PoolingRule(window_penalty=points.window_penalty))


def _of_package(package: ModelPackage) -> tuple[Model, _Own]:
    import onnxruntime  # noqa: PLC0415 - runs need none

    manifest = package.manifest
    session = onnxruntime.InferenceSession(package.onnx, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    model = Model(
        manifest.label,
        tuple(part.name for part in manifest.classes),
        tuple(part.manipulated for part in manifest.classes),
        manifest.input.size,
        lambda crops: np.asarray(session.run(None, {name: crops})[0], np.float64),
    )
    by, pooling = manifest.calibration, manifest.pooling
    return model, _Own(
        None if by is None else Calibration(by.temperature, by.bias),
        PoolingRule() if pooling is None else PoolingRule(window_penalty=pooling.window_penalty),
    )


def _calibrated(
    raw: NDArray[np.float64], flags: NDArray[np.bool_], by: Calibration
) -> NDArray[np.float64]:
    """Class scores whose manipulated sum is the calibrated score; shares inside stay."""
    result = np.array(raw, np.float64)
    for row in result:
        wanted = by.apply(min(1.0, float(row[flags].sum())))
        row[flags] *= wanted / max(row[flags].sum(), 1e-12)
        row[~flags] *= (1 - wanted) / max(row[~flags].sum(), 1e-12)
    return result
