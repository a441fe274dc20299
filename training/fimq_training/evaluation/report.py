"""The report: what a model scores, how it is calibrated, and what its thresholds can promise.

One object holds every figure that the manifest and the model card state, so that the two
cannot disagree.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fimq.policy.pooling import PoolingRule, expit, logit
from fimq_training.calibration import length, thresholds
from fimq_training.calibration.temperature import Calibration
from fimq_training.calibration.thresholds import Thresholds, Unseen
from fimq_training.evaluation import figures, robustness
from fimq_training.evaluation.bootstrap import Interval
from fimq_training.evaluation.figures import Scored, Scorer
from fimq_training.manipulations import forgeries
from fimq_training.manipulations.clips import Clip
from fimq_training.manipulations.landmarks import Pixels
from fimq_training.manipulations.rendering import RENDER

KINDS = (*forgeries.KINDS, RENDER)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Clips of people that were never trained on."""

    real: list[Clip]  #: as they are
    degraded: list[Clip]  #: some draws of degradations each
    fake: list[Clip]  #: the forged doubles of `degraded`, in the same order
    portraits_real: list[Clip]  #: single crops
    portraits_fake: list[Clip]  #: their forged doubles, in the same order


@dataclass(frozen=True, slots=True)
class Setback:
    """Figures of the held-out clips after something was done to all of their crops."""

    what: str
    strength: float
    video_auc: Interval
    mean_change: float  #: mean absolute change of a clip's score


@dataclass(frozen=True, slots=True)
class Report:
    """Intervals on held-out people, all on calibrated, pooled scores of tracks."""

    calibration: Calibration
    thresholds: Thresholds
    people: int  #: on held-out video
    real_clips: int
    degraded_clips: int
    fake_clips: int
    video_auc: Interval
    video_order: Interval
    video_auc_by_kind: dict[str, Interval]
    portraits_auc: Interval
    portraits_order: Interval
    alarms_at_half: Interval  #: share of real clips, as they are, at or above .5
    alarms_at_precision: Interval  #: of degraded real clips at or above high precision
    found_at_precision: Interval  #: share of forged clips at or above high precision
    cleared_at_recall: Interval  #: share of real clips, as they are, below high recall
    missed_at_recall: Interval  #: share of forged clips below high recall
    unseen: Unseen  #: real clips, as they are, called at a threshold chosen without their person
    unseen_degraded: Unseen  #: the same of degraded ones
    false_alarms: float  #: share of real clips that high precision was chosen for
    simulated_alarms: dict[str, float]  #: share of simulated real video called, by its length
    samples_of_a_clip: int  #: median of the real ones that it was simulated from
    raised_from: float | None  #: high precision as chosen, where the simulation raised it
    setbacks: list[Setback]


def measure(held_out: HeldOut, scorer: Scorer) -> Report:
    """Score the held-out clips, calibrate, choose the thresholds, and measure them."""
    raw_degraded = figures.score_clips(held_out.degraded, scorer)
    raw_fakes = figures.score_clips(held_out.fake, scorer)
    calibration = thresholds.calibrate(raw_degraded, raw_fakes)
    degraded, fakes = _calibrated(raw_degraded, calibration), _calibrated(raw_fakes, calibration)
    reals = _calibrated(figures.score_clips(held_out.real, scorer), calibration)
    stills = figures.score_clips(held_out.portraits_real, scorer)
    forged_stills = figures.score_clips(held_out.portraits_fake, scorer)
    first = thresholds.choose(reals, degraded, fakes)
    chosen, simulated = _held_at_every_length(first, reals)
    people = len({clip.person for clip in reals})
    return Report(
        calibration=calibration,
        thresholds=chosen,
        people=people,
        real_clips=len(reals),
        degraded_clips=len(degraded),
        fake_clips=len(fakes),
        video_auc=figures.auc(degraded, fakes),
        video_order=figures.order(degraded, fakes),
        video_auc_by_kind=_by_kind(degraded, fakes),
        portraits_auc=figures.auc(stills, forged_stills),
        portraits_order=figures.order(stills, forged_stills),
        alarms_at_half=figures.share_above(reals, 0.5),
        alarms_at_precision=figures.share_above(degraded, chosen.high_precision),
        found_at_precision=figures.share_above(fakes, chosen.high_precision),
        cleared_at_recall=_complement(figures.share_above(reals, chosen.high_recall)),
        missed_at_recall=_complement(figures.share_above(fakes, chosen.high_recall)),
        unseen=thresholds.of_the_unseen(reals, degraded, reals),
        unseen_degraded=thresholds.of_the_unseen(reals, degraded, degraded),
        false_alarms=thresholds.FALSE_ALARMS,
        simulated_alarms=simulated,
        samples_of_a_clip=int(np.median([len(clip.faces) for clip in reals])),
        raised_from=None if chosen == first else first.high_precision,
        setbacks=list(_setbacks(held_out, raw_degraded, raw_fakes, scorer)),
    )


def _setbacks(
    held_out: HeldOut, degraded: Sequence[Scored], fakes: Sequence[Scored], scorer: Scorer
) -> Iterator[Setback]:
    """Alter every crop of the clips, real and forged alike, and score them again."""
    plain = [*degraded, *fakes]
    for what, strength, alter in robustness.middle():
        altered = [
            figures.score_clips([_altered(clip, alter) for clip in clips], scorer)
            for clips in (held_out.degraded, held_out.fake)
        ]
        changes = [
            abs(after.score - before.score)
            for after, before in zip([*altered[0], *altered[1]], plain, strict=True)
        ]
        yield Setback(what, strength, figures.auc(*altered), float(np.mean(changes)))


def _altered(clip: Clip, alter: Callable[[Pixels], Pixels]) -> Clip:
    return replace(clip, crops=np.stack([alter(crop) for crop in clip.crops]))


def _held_at_every_length(
    chosen: Thresholds, reals: Sequence[Scored]
) -> tuple[Thresholds, dict[str, float]]:
    """Raise high precision if simulated video of some length passes it too often.

    A penalty is not chosen: a few clips of a few seconds would choose one that fits them.
    """
    videos = [np.array([logit(float(score)) for score in clip.faces]) for clip in reals]
    threshold = logit(chosen.high_precision)
    penalty = PoolingRule().window_penalty
    held = length.hold(videos, threshold, thresholds.FALSE_ALARMS, penalty=penalty)
    if held.threshold > threshold:
        chosen = replace(chosen, high_precision=expit(held.threshold))
    return chosen, held.rates


def _calibrated(clips: Sequence[Scored], calibration: Calibration) -> list[Scored]:
    """The clips with calibrated faces, pooled again."""
    result = []
    for clip in clips:
        faces = np.array([calibration.apply(float(score)) for score in clip.faces])
        score = figures.track_score(faces.tolist())
        result.append(replace(clip, faces=faces, score=score))
    return result


def _by_kind(reals: Sequence[Scored], fakes: Sequence[Scored]) -> dict[str, Interval]:
    kinds = {kind: [clip for clip in fakes if clip.name.startswith(kind)] for kind in KINDS}
    return {kind: figures.auc(reals, clips) for kind, clips in kinds.items() if clips}


def _complement(figure: Interval) -> Interval:
    return Interval(1 - figure.value, 1 - figure.high, 1 - figure.low)
