"""The figures of a model: of all rows, and of parts of them, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fimq_training.evaluation import metrics
from fimq_training.evaluation.bootstrap import Interval, interval
from fimq_training.evaluation.judged import SIZES, Judged

FALSE_POSITIVES = (0.001, 0.01, 0.05)  #: rates that thresholds are chosen for
PREVALENCES = (0.1, 0.01, 0.001)
DRAWS = 400
WITHIN = ("compression", "face size")  #: divisions whose parts are held against reals of the same


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
    """Some of the manipulated rows against real ones, or some of the real ones.

    Those of a method are held against all real rows, those of a compression or a face size
    against real ones of the same: against all, it would be the codec that is measured.
    """

    name: str
    rows: int
    auc: Interval | None  #: None of real rows, and where it cannot be measured
    called: Interval  #: share at or above the threshold for 1 %
    no_auc: str | None = None  #: why it cannot


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
            by: tuple(_parts(test, by, names, points[1].threshold, draws))
            for by, names in _divisions(test).items()
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


def _divisions(test: Judged) -> dict[str, NDArray[np.str_]]:
    """The name of each row by each division; empty where it is in no part."""
    bins = np.digitize(test.sizes, SIZES) - 1
    labels, collections = test.labels, np.array(test.collections)
    return {
        "method": np.where(labels, collections, ""),
        "compression": np.array(test.compressions),
        "face size": np.array([f"{SIZES[one]}-{SIZES[one + 1] - 1} px" for one in bins]),
        "real source": np.where(labels, "", collections),
    }


def _parts(
    test: Judged, by: str, names: NDArray[np.str_], threshold: float, draws: int
) -> Iterator[Part]:
    real = ~test.labels
    among = real if by == "real source" else test.labels
    for name in sorted(set(names[among].tolist()) - {""}):
        mine = among & (names == name)
        auc, no_auc = None, None
        if by != "real source":
            reals = real & (names == name) if by in WITHIN else real
            auc = _auc(test.where(mine | reals), draws) if reals.any() else None
            no_auc = None if reals.any() else f"no real row of {name}"
        yield Part(name, int(mine.sum()), auc, _called(test.where(mine), threshold, draws), no_auc)
