"""The package: the folder that a worker loads, with everything it needs to trust a model.

`model.onnx`; `manifest.json` (name, version, sha256, crop rule, classes, calibration,
thresholds, training data, metrics); `golden.npz` (crops and the class scores that the
exporting framework gave them, so that a runtime can be proved before it serves); `card.md`.
No picture of the training people is in it: golden crops are made from scikit-image's
astronaut, which is in the public domain, and from patterns.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fimq.models.package import ModelPackage
from fimq_training.datasets.catalogue import SOURCES
from fimq_training.evaluation.report import Report
from fimq_training.export.card import card
from fimq_training.export.onnx import Network, to_onnx
from fimq_training.manipulations import degradations
from fimq_training.manipulations.landmarks import Pixels
from fimq_training.manipulations.pairs import SIZE
from fimq_training.manipulations.samples import SERVED
from fimq_training.networks.folded_model import Weights
from fimq_worker.vision.box import Box
from fimq_worker.vision.crops import crop_face
from fimq_worker.vision.picture import Picture

GOLDEN = 8  #: crops of the astronaut, and as many patterns
ASTRONAUT = Box(172, 66, 107, 107)  #: her face in scikit-image's picture
CLEAR = 0.01  #: a golden score stays this far from .5, so that rounding flips no class


@dataclass(frozen=True, slots=True)
class Release:
    """What a package says about itself beside its figures."""

    created: datetime
    steps: int  #: of the fit, all together
    name: str = "fimq-b0"
    version: str = "0.1.0"
    sampling: str = "every:25"


def write_package(
    folder: Path,
    weights: Weights,
    report: Report,
    *,
    release: Release,
    folders: Iterable[str],
    outside: Mapping[str, Any],
) -> None:
    """Write the four files.

    Args:
        folder: where; made if missing.
        weights: of `network`.
        report: the figures on held-out people.
        release: name, version, date.
        folders: the data folders that the model was trained on.
        outside: figures measured on data that may not be part of this package.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.onnx"
    to_onnx(weights, model, SIZE)
    crops, scores = golden(weights)
    with (folder / "golden.npz").open("wb") as out:
        np.savez_compressed(out, crops=crops, scores=scores)
    facts = manifest(report, release, folders, outside)
    facts["sha256"] = hashlib.sha256(model.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (folder / "card.md").write_text(card(facts), encoding="utf-8")
    ModelPackage.open(folder)  # as a worker will


def manifest(
    report: Report, release: Release, folders: Iterable[str], outside: Mapping[str, Any]
) -> dict[str, Any]:
    """The manifest but for the hash of the model file."""
    sources = {folder: SOURCES[folder] for folder in sorted(folders)}
    return {
        "name": release.name,
        "version": release.version,
        "sha256": "",
        "input": {"size": SIZE},
        "crop": {"scale": SERVED.scale, "size": SERVED.size},
        "classes": [
            {"name": "real", "manipulated": False},
            {"name": "manipulated", "manipulated": True},
        ],
        "calibration": _rounded(asdict(report.calibration)),
        "thresholds": _rounded(asdict(report.thresholds)),
        "sampling": release.sampling,
        "training_data": [asdict(source) for source in sources.values()],
        "metrics": _rounded(_metrics(report, release, outside)),
        "created": release.created.isoformat(timespec="seconds"),
        "experimental": True,
    }


def golden(weights: Weights) -> tuple[Pixels, NDArray[np.float32]]:
    """Crops [16, 128, 128, 3] and their probabilities [16, 2] by the exporting framework."""
    network = Network(weights, SIZE)
    crops = np.stack([*_portraits(), *_patterns()])
    scores = network.score(crops)
    clear = np.abs(scores - 0.5) > CLEAR
    return crops[clear], np.stack([1 - scores, scores], 1)[clear].astype(np.float32)


def _portraits() -> Iterable[Pixels]:
    from skimage import data  # noqa: PLC0415 - the extra `demo`; only packages need it

    rng = np.random.default_rng(25)
    picture = np.ascontiguousarray(data.astronaut())  # type: ignore[no-untyped-call]
    yield crop_face(Picture.from_rgb(picture), ASTRONAUT, SERVED)
    for _ in range(GOLDEN - 1):
        shown = degradations.platform(ASTRONAUT.width, rng).apply(picture)
        x, y = ASTRONAUT.x + rng.normal(0, 4), ASTRONAUT.y + rng.normal(0, 4)
        side = ASTRONAUT.width * rng.uniform(0.85, 1.15)
        yield crop_face(Picture.from_rgb(shown), Box(x, y, side, side), SERVED)


def _patterns() -> Iterable[Pixels]:
    rng = np.random.default_rng(50)
    for index in range(GOLDEN):
        cells = 2 ** (index % 4 + 1)
        coarse = rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
        way = cv2.INTER_CUBIC if index < GOLDEN // 2 else cv2.INTER_NEAREST
        yield np.asarray(cv2.resize(coarse, (SIZE, SIZE), interpolation=way), np.uint8)


def _metrics(report: Report, release: Release, outside: Mapping[str, Any]) -> dict[str, Any]:
    facts = asdict(report)
    del facts["calibration"], facts["thresholds"]
    return {"held_out": facts, "fit": {"steps": release.steps}, **outside}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return round(value, 4) if isinstance(value, float) else value
