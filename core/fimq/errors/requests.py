"""Requests that the ledger cannot follow: of jobs, workers and policies."""

from __future__ import annotations

from fimq.errors.base import FimqError


class JobNotFound(FimqError):
    """There is no such job."""

    code = "job_not_found"
    hint = "See: fimq list"
    exit_status = 2
    http_status = 404


class JobAmbiguous(FimqError):
    """More than one job begins like this."""

    code = "job_ambiguous"
    hint = "Give more letters of its id."
    exit_status = 2
    http_status = 409


class WorkerNotFound(FimqError):
    """There is no such worker."""

    code = "worker_not_found"
    hint = "See them: fimq workers"
    exit_status = 2
    http_status = 404


class WorkerAmbiguous(FimqError):
    """More than one worker's id begins like this."""

    code = "worker_ambiguous"
    hint = "Give more letters of its id."
    exit_status = 2
    http_status = 409


class DeletedMeanwhile(FimqError):
    """The video was deleted while it was submitted."""

    code = "deleted_meanwhile"
    hint = "Submit it again."
    exit_status = 2
    http_status = 409


class IdempotencyConflict(FimqError):
    """This idempotency key was used for another request."""

    code = "idempotency_conflict"
    hint = "Use a new key for a new request."
    exit_status = 2
    http_status = 409


class WrongState(FimqError):
    """The job's state does not allow this."""

    code = "wrong_state"
    exit_status = 2
    http_status = 409


class PolicyMissing(FimqError):
    """There is no policy of this name."""

    code = "policy_missing"
    hint = "See: fimq policies list"
    exit_status = 2
