"""The figures of whole videos, as they were served.

A video may have no score: no face that could be judged, or no judgement at all. Such videos count
both ways, and every row says which. `scored`: they are left out, and the share that is left is
said. `all`: they are called by nobody, so that a manipulated one was not found and a real one was
not accused. Nothing is ever ranked that has no score.

Chance draws people, or videos where nobody is known. A share that is none or all is the same in
every draw; its interval is Wilson's over the people instead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fimq_training.evaluation import metrics
from fimq_training.evaluation.bootstrap import interval, wilson
from fimq_training.evaluation.served import Served, Service, service_of
from fimq_training.evaluation.video_findings import (
    Coverage,
    Figure,
    Operating,
    Part,
    Precision,
    Ranking,
    Said,
    VideoMeasures,
    Way,
    finite,
)

FALSE_POSITIVES = (0.001, 0.01, 0.05)  #: rates that thresholds are chosen for
PREVALENCES = (0.1, 0.01, 0.001)
COVERAGE = 0.95  #: what the standard policy asks of a video that it clears
SERVED = "score at the served high-precision threshold"
ACCUSED = "outcome `manipulated`, as served"
WAYS: tuple[Way, ...] = ("scored", "all")


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled videos as arrays."""

    videos: tuple[Served, ...]
    labels: NDArray[np.bool_]
    scores: NDArray[np.float64]  #: NaN where there is none
    accused: NDArray[np.bool_]  #: the outcome is `manipulated`
    units: tuple[str, ...]

    @classmethod
    def of(cls, videos: Sequence[Served]) -> Rows:
        """Gather them."""
        scores = [math.nan if one.score is None else one.score for one in videos]
        return cls(
            videos=tuple(videos),
            labels=np.array([one.label.manipulated for one in videos], np.bool_),
            scores=np.array(scores, np.float64),
            accused=np.array([one.said == "manipulated" for one in videos], np.bool_),
            units=tuple(one.label.unit for one in videos),
        )

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Whether each has a score."""
        return ~np.isnan(self.scores)

    def where(self, rows: NDArray[np.bool_]) -> Rows:
        """Some of them."""
        return Rows.of([one for one, keep in zip(self.videos, rows, strict=True) if keep])

    def __len__(self) -> int:
        return len(self.videos)


def measure(
    test: Sequence[Served], validation: Sequence[Served] | None, draws: int = 1000
) -> VideoMeasures:
    """Measure videos; thresholds for chosen rates come from `validation` alone.

    Raises:
        DocumentsMixed: not all were judged by one model and policy.
    """
    rows = Rows.of(test)
    service = service_of([*test, *(validation or ())])
    real, fake = rows.where(~rows.labels), rows.where(rows.labels)
    reals = np.array(
        [v.score for v in validation or () if v.score is not None and not v.label.manipulated]
    )
    return VideoMeasures(
        service=service,
        samplings=dict(Counter(one.sampling for one in test if one.sampling is not None)),
        real=len(real),
        manipulated=len(fake),
        real_scored=_share(real.scored, real.units, draws),
        manipulated_scored=_share(fake.scored, fake.units, draws),
        units=len(set(rows.units)),
        unknown=sum(not one.label.identities for one in test),
        ranking=_ranking(rows, draws),
        outcomes=tuple(_outcomes(rows)),
        served=tuple(_served(rows, service, draws)),
        points=tuple(_points(rows, reals, draws)),
        validation=len(reals),
        no_points=_no_points(validation, len(reals)),
        parts=tuple(_parts(rows, service, draws)),
        coverage=_coverage(test),
    )


def _no_points(validation: Sequence[Served] | None, reals: int) -> str | None:
    if validation is None:
        return "no validation was given, and a threshold chosen on what is measured flatters"
    if not reals:
        return "no real video of validation has a score"
    return None


def _ranking(rows: Rows, draws: int) -> Ranking:
    kept = rows.where(rows.scored)

    def of(function: Callable[[metrics.Labels, metrics.Scores], float]) -> Figure:
        return _measured(
            lambda some: function(kept.labels[some], kept.scores[some]), kept.units, draws
        )

    return Ranking(
        auc=of(metrics.roc_auc),
        average_precision=of(metrics.average_precision),
        equal_error=of(lambda labels, scores: metrics.roc(labels, scores).equal_error),
        log_loss=of(metrics.log_loss),
        brier=of(metrics.brier),
        calibration_error=of(lambda labels, scores: metrics.reliability(labels, scores).error),
    )


def _outcomes(rows: Rows) -> Iterator[Said]:
    named: dict[str, list[str]] = {"real": [], "manipulated": []}
    for one in rows.videos:
        if one.label.manipulated:
            named["manipulated"].append(one.words)
            if one.label.method is not None:
                named.setdefault(one.label.method, []).append(one.words)
        else:
            named["real"].append(one.words)
    for label, said in named.items():
        for words, count in sorted(Counter(said).items()):
            yield Said(label, words, count, Figure.of(wilson(count, len(said))))


def _served(rows: Rows, service: Service | None, draws: int) -> Iterator[Operating]:
    if service is None:
        return
    threshold = service.high_precision
    for way in WAYS:
        yield _operating(SERVED, rows, way, threshold, draws=draws)
    yield _operating(ACCUSED, rows, "all", None, draws=draws)


def _points(rows: Rows, reals: NDArray[np.float64], draws: int) -> Iterator[Operating]:
    for wanted in FALSE_POSITIVES if len(reals) else ():
        threshold = metrics.threshold_at(reals, wanted)
        for way in WAYS:
            rule = f"{wanted:.1%} of real videos accused on validation"
            yield _operating(rule, rows, way, threshold, draws=draws, wanted=wanted)


def _operating(
    rule: str,
    rows: Rows,
    way: Way,
    threshold: float | None,
    *,
    draws: int,
    wanted: float | None = None,
) -> Operating:
    kept = rows.where(rows.scored) if way == "scored" else rows
    called = kept.accused if threshold is None else _at(kept, threshold)
    found = _rate(kept, kept.labels, called, draws)
    accused = _rate(kept, ~kept.labels, called, draws)
    return Operating(rule, way, threshold, wanted, found, accused, _precision(found, accused))


def _precision(found: Figure, accused: Figure) -> tuple[Precision, ...]:
    def expected(hits: float | None, alarms: float | None, share: float) -> float | None:
        if hits is None or alarms is None:
            return None
        return finite(metrics.precision_expected(hits, alarms, share))

    return tuple(
        Precision(
            share,
            expected(found.value, accused.value, share),
            expected(found.low, accused.high, share),
        )
        for share in PREVALENCES
    )


def _parts(rows: Rows, service: Service | None, draws: int) -> Iterator[Part]:
    labels = [one.label for one in rows.videos]
    divisions = {
        "method": [label.method or "unnamed" if label.manipulated else None for label in labels],
        "compression": [label.compression for label in labels],
        "real source": [None if label.manipulated else label.source for label in labels],
    }
    for by, names in divisions.items():
        for name in sorted({one for one in names if one is not None}):
            mine = np.array([one == name for one in names], np.bool_)
            yield _part(by, name, rows, mine, service, draws=draws)


def _part(
    by: str, name: str, rows: Rows, mine: NDArray[np.bool_], service: Service | None, *, draws: int
) -> Part:
    some = rows.where(mine)
    ranked = rows.where(mine | ~rows.labels) if by == "method" else some
    called = np.zeros(len(some), np.bool_)
    if service is not None:
        called = _at(some, service.high_precision)
    return Part(
        by=by,
        name=name,
        real=int((~some.labels).sum()),
        manipulated=int(some.labels.sum()),
        scored=_share(some.scored, some.units, draws),
        auc=_ranking_auc(ranked, draws),
        found=_rate(some, some.labels & some.scored, called, draws),
        found_of_all=_rate(some, some.labels, called, draws),
        accused=_rate(some, ~some.labels & some.scored, called, draws),
        accused_of_all=_rate(some, ~some.labels, called, draws),
    )


def _ranking_auc(rows: Rows, draws: int) -> Figure:
    kept = rows.where(rows.scored)
    return _measured(lambda s: metrics.roc_auc(kept.labels[s], kept.scores[s]), kept.units, draws)


def _coverage(test: Sequence[Served]) -> Coverage:
    known = [one.coverage for one in test if one.coverage is not None]
    return Coverage(
        videos=len(known),
        mean=float(np.mean(known)) if known else None,
        lowest=min(known, default=None),
        low=sum(one < COVERAGE for one in known),
    )


def _at(rows: Rows, threshold: float) -> NDArray[np.bool_]:
    """Whether each is at or above a threshold; never where there is no score."""
    return rows.scored & (np.where(rows.scored, rows.scores, 0) >= threshold)


def _rate(rows: Rows, among: NDArray[np.bool_], called: NDArray[np.bool_], draws: int) -> Figure:
    units = [unit for unit, keep in zip(rows.units, among, strict=True) if keep]
    return _share(called[among], units, draws)


def _share(holds: NDArray[np.bool_], units: Sequence[str], draws: int) -> Figure:
    if len(holds) and holds.all() == holds.any():
        people = len(set(units))
        return Figure.of(wilson(people if holds.any() else 0, people))
    return _measured(lambda rows: float(np.mean(holds[rows])), units, draws)


def _measured(
    measure: Callable[[NDArray[np.int64]], float], units: Sequence[str], draws: int
) -> Figure:
    """With an interval where chance has at least two people to draw."""
    if not units:
        return Figure(None, None, None)
    if len(set(units)) == 1:
        return Figure(finite(measure(np.arange(len(units)))), None, None)
    return Figure.of(interval(measure, units, draws=draws))
