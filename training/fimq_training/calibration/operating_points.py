"""Operating points of a model: calibration, pooling and both thresholds, from its validation.

The high-precision threshold comes from real videos alone, for a chosen rate of false positives
of whole videos of every length; the high-recall one lets a chosen share of manipulated videos
fall below. What so few people allow to promise is said beside them. A still is no video: its
crops help to find the temperature, and count nowhere else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fimq.errors import CalibrationImpossible, CalibrationMissing
from fimq.policy.pooling import expit, logit
from fimq_training.calibration import length, temperature
from fimq_training.calibration.streams import Pooled
from fimq_training.calibration.temperature import Calibration
from fimq_training.calibration.thresholds import upper_bound
from fimq_training.disk import room_for
from fimq_training.evaluation.judged import unit
from fimq_training.evaluation.predictions import Predictions

FILE = "calibration.json"
LEAST_VIDEOS = 8  #: real ones; fewer say nothing about any rate


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """What a manifest says of scores, and how it was found."""

    calibration: Calibration
    window_penalty: float  #: logits for each e-fold of windows in a track
    high_precision: float
    high_recall: float
    wanted: float  #: rate of false positives of whole videos
    missed: float  #: share of manipulated validation videos below high_recall
    simulated: dict[str, float]  #: false positives by length, on simulated streams
    any_frame: dict[str, float]  #: the same, of the rule that any frame suffices
    real_videos: int
    real_people: int
    promise: float  #: the rate that so many people allow to promise at 95 % if none was called
    sampling: str  #: of the validation videos, as a manifest has it

    def write(self, folder: Path) -> None:
        """Write calibration.json, whole or not at all.

        Raises:
            DiskFull: there was no room.
        """
        part = folder / f"{FILE}.part"
        with room_for(folder / FILE):
            part.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
            part.replace(folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read calibration.json.

        Raises:
            CalibrationMissing: there is none, or it is not one.
        """
        try:
            facts: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
            return cls(calibration=Calibration(**facts.pop("calibration")), **facts)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise CalibrationMissing(f"{folder} has no {FILE}") from error


def find(
    predictions: Predictions, *, wanted: float, missed: float, sampling: str, seed: int = 0
) -> OperatingPoints:
    """Calibrate scores and choose both thresholds, on validation crops.

    Args:
        predictions: of validation crops, real and manipulated, of videos; stills may be among
            them.
        wanted: rate of false positives of whole real videos.
        missed: share of manipulated videos that may fall below the high-recall threshold.
        sampling: of the videos; kept for the manifest.
        seed: of the simulation.

    Raises:
        CalibrationImpossible: there are too few real videos, no manipulated one, or its faces score
            no higher.
    """
    labels = predictions.labels
    videos = _videos(predictions)
    of_real = [rows for rows in videos if not labels[rows[0]]]
    of_fake = [rows for rows in videos if labels[rows[0]]]
    if len(of_real) < LEAST_VIDEOS or not of_fake:
        stills = sum(crop.pts is None for crop in predictions.crops)
        raise CalibrationImpossible(
            f"{len(of_real)} real and {len(of_fake)} manipulated videos on the validation side; "
            f"it takes {LEAST_VIDEOS} real ones and one manipulated one"
            + (f" ({stills} crops are of stills, which say nothing of videos)" if stills else "")
        )
    raw = np.array([logit(score) for score in predictions.manipulated_scores])
    calibration = temperature.fit(raw, labels, _even(predictions))
    logits = raw / calibration.temperature + calibration.bias
    chosen = length.choose(
        [logits[_in_time(predictions, rows)] for rows in of_real], wanted, seed=seed
    )
    fakes = [
        float(Pooled.of(logits[_in_time(predictions, rows)][None]).at(chosen.penalty)[0])
        for rows in of_fake
    ]
    people = {unit(predictions.crops[rows[0]]) for rows in of_real}
    high = float(expit(chosen.threshold))
    return OperatingPoints(
        calibration=calibration,
        window_penalty=chosen.penalty,
        high_precision=high,
        high_recall=min(high, float(expit(float(np.quantile(fakes, missed))))),
        wanted=wanted,
        missed=missed,
        simulated=chosen.rates,
        any_frame=chosen.any_frame,
        real_videos=len(of_real),
        real_people=len(people),
        promise=upper_bound(len(people)),
        sampling=sampling,
    )


def _videos(predictions: Predictions) -> list[list[int]]:
    """The rows of each video."""
    videos: dict[str, list[int]] = {}
    for row, crop in enumerate(predictions.crops):
        if crop.pts is not None:
            videos.setdefault(f"{crop.dataset}/{crop.video}", []).append(row)
    return list(videos.values())


def _even(predictions: Predictions) -> NDArray[np.float64]:
    """Weights that give both labels the same, and in each every person."""
    keys = [(bool(crop.manipulated), unit(crop)) for crop in predictions.crops]
    counts = {key: keys.count(key) for key in set(keys)}
    people = {label: sum(1 for its, _ in counts if its == label) for label in (False, True)}
    return np.array([0.5 / people[key[0]] / counts[key] for key in keys])


def _in_time(predictions: Predictions, rows: list[int]) -> list[int]:
    return sorted(rows, key=lambda row: (predictions.crops[row].frame, row))
