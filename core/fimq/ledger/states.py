"""The state machine of jobs and steps: which transitions there are, as data.

Every UPDATE of a state names the states it may come from by `sources(...)`, so that a
transition that is not in these tables cannot be written.
"""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """Where a step stands."""

    READY = "ready"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepKind(StrEnum):
    """What a step does."""

    PLAN = "plan"
    SEGMENT = "segment"
    FINISH = "finish"
    CUT = "cut"


#: A job that ended never changes again; `retry` makes another job.
JOB_TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.FAILED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

#: claimed -> ready: given back, lost, or to be run again after an error.
STEP_TRANSITIONS: dict[StepState, frozenset[StepState]] = {
    StepState.READY: frozenset({StepState.CLAIMED, StepState.FAILED, StepState.CANCELLED}),
    StepState.CLAIMED: frozenset(
        {StepState.READY, StepState.DONE, StepState.FAILED, StepState.CANCELLED}
    ),
    StepState.DONE: frozenset(),
    StepState.FAILED: frozenset(),
    StepState.CANCELLED: frozenset(),
}

JOB_ENDED = frozenset(state for state, after in JOB_TRANSITIONS.items() if not after)
JOB_OPEN = frozenset(JobState) - JOB_ENDED
STEP_OPEN = frozenset(state for state, after in STEP_TRANSITIONS.items() if after)


def job_sources(target: JobState) -> list[str]:
    """The states from which a job may become `target`."""
    return sorted(state for state, after in JOB_TRANSITIONS.items() if target in after)


def step_sources(target: StepState) -> list[str]:
    """The states from which a step may become `target`."""
    return sorted(state for state, after in STEP_TRANSITIONS.items() if target in after)
