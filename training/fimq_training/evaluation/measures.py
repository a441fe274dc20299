"""The figures of a model: of all rows, and of parts of them, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fimq_training.evaluation import metrics
from fimq_training.evaluation.bootstrap import Interval, interval
from fimq_training.evaluation.judged import SIZES, Judged

FALSE_POSITIVES = (0.001, 0.01, 0.05)  #: rates that thresholds are chosen for
PREVALENCES = (0.1, 0.01, 0.001)
DRAWS = 400


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold that was chosen on validation, and what it does on test."""

    wanted: float  #: false positive rate on validation
    threshold: float
    hits: Interval  #: share of manipulated rows called, on test
    alarms: Interval  #: share of real rows called, on test
    precision: dict[str, float]  #: expected, by prevalence


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the manipulated rows against all real ones, or some of the real ones."""

    name: str
    rows: int
    auc: Interval | None  #: None of real rows
    called: Interval  #: share at or above the threshold for 1 %


@dataclass(frozen=True, slots=True)
class Measures:
    """Everything measured of one kind of row."""

    kind: str  #: `crops` or `videos`
    real: int
    manipulated: int
    units: int
    auc: Interval
    average_precision: Interval
    equal_error: Interval
    log_loss: Interval
    brier: Interval
    calibration_error: Interval
    points: tuple[OperatingPoint, ...]
    parts: dict[str, tuple[Part, ...]]  #: by method, compression, face size, real source


def measure(kind: str, validation: Judged, test: Judged, draws: int = DRAWS) -> Measures:
    """Choose thresholds on validation and measure on test."""

    def of(function: Callable[..., float]) -> Interval:
        return interval(
            lambda rows: function(test.labels[rows], test.scores[rows]), test.units, draws=draws
        )

    reals = validation.scores[~validation.labels]
    points = tuple(_point(test, reals, rate, draws) for rate in FALSE_POSITIVES)
    return Measures(
        kind=kind,
        real=int((~test.labels).sum()),
        manipulated=int(test.labels.sum()),
        units=len(set(test.units)),
        auc=of(metrics.roc_auc),
        average_precision=of(metrics.average_precision),
        equal_error=of(lambda labels, scores: metrics.roc(labels, scores).equal_error),
        log_loss=of(metrics.log_loss),
        brier=of(metrics.brier),
        calibration_error=of(lambda labels, scores: metrics.reliability(labels, scores).error),
        points=points,
        parts={
            name: tuple(_parts(test, names, points[1].threshold, draws))
            for name, names in _divisions(test).items()
        },
    )


def _point(test: Judged, reals: NDArray[np.float64], wanted: float, draws: int) -> OperatingPoint:
    threshold = metrics.threshold_at(reals, wanted)
    hits = _called(test.where(test.labels), threshold, draws)
    alarms = _called(test.where(~test.labels), threshold, draws)
    return OperatingPoint(
        wanted=wanted,
        threshold=threshold,
        hits=hits,
        alarms=alarms,
        precision={
            f"{share:g}": metrics.precision_expected(hits.value, alarms.value, share)
            for share in PREVALENCES
        },
    )


def _called(rows: Judged, threshold: float, draws: int) -> Interval:
    if not len(rows):
        return Interval(float("nan"), float("nan"), float("nan"))
    return interval(
        lambda some: metrics.rate_at(rows.scores[some], threshold), rows.units, draws=draws
    )


def _auc(rows: Judged, draws: int) -> Interval:
    return interval(
        lambda some: metrics.roc_auc(rows.labels[some], rows.scores[some]), rows.units, draws=draws
    )


def _divisions(test: Judged) -> dict[str, Any]:
    bins = np.digitize(test.sizes, SIZES) - 1
    sizes = np.array([f"{SIZES[one]}-{SIZES[one + 1] - 1} px" for one in bins])
    labels = test.labels
    return {
        "method": np.where(labels, test.collections, ""),
        "compression": np.where(labels, test.compressions, ""),
        "face size": np.where(labels, sizes, ""),
        "real source": np.where(labels, "", test.collections),
    }


def _parts(test: Judged, names: NDArray[np.str_], threshold: float, draws: int) -> Iterator[Part]:
    for name in sorted(set(names.tolist()) - {""}):
        mine = names == name
        auc = None
        if test.labels[mine].all():
            both = test.where(mine | ~test.labels)
            auc = _auc(both, draws)
        called = _called(test.where(mine), threshold, draws)
        yield Part(name, int(mine.sum()), auc, called)
