"""Cutting jobs: how the one step of such a job ends, and what whoever asked wants to know.

They are claimed, swept, cancelled and failed as every other job is; only their end is
their own. No verdict is ever written for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from fimq.cuts import CutReport
from fimq.ledger.claims import Claim
from fimq.ledger.completion import cover_at_once, end_job, end_step
from fimq.ledger.database import Ledger
from fimq.ledger.locks import lock_job
from fimq.ledger.states import JOB_ENDED, JobState, StepKind, StepState
from fimq.ledger.tables import Job, Step


@dataclass(frozen=True, slots=True)
class CutJob:
    """A cutting job, as whoever asked for it sees it."""

    job_id: str
    external_id: str | None
    state: JobState
    error_code: str | None
    error_detail: str | None
    report: CutReport | None  #: once it is done

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in JOB_ENDED


def complete_cut(ledger: Ledger, held: Claim, report: CutReport) -> bool:
    """End a cutting job with its report, or do nothing if the claim was lost."""
    with ledger.write() as session:
        lock_job(session, held.job_id)
        if not end_step(session, held, StepState.DONE, report=report.document):
            return False
        cover_at_once(session, held, planned=report.samples, done=report.samples)
        return end_job(session, held.job_id, JobState.DONE)


def is_wanted(session: Session, job_id: str, key: str) -> bool:
    """Whether a bundle is, or may become, that of its job.

    Cut again by another worker, the same crops make the same bundle.
    """
    state = session.scalar(select(Job.state).where(Job.id == job_id))
    if state is None or (state in JOB_ENDED and state != JobState.DONE):
        return False
    report = report_of(session, job_id)
    return report is None or report.key == key


def report_of(session: Session, job_id: str) -> CutReport | None:
    """What came of a job's cut; None where it is not done, or judges."""
    document = session.scalar(
        select(Step.report).where(
            Step.job_id == job_id, Step.kind == StepKind.CUT, Step.report.is_not(None)
        )
    )
    return CutReport.from_document(document) if document else None


def jobs(session: Session, job_ids: Sequence[str]) -> dict[str, CutJob]:
    """These cutting jobs; one that was deleted is left out."""
    return {job.job_id: job for job in _jobs(session, Job.id.in_(job_ids))}


def asked_under(session: Session, tenant: str, prefix: str) -> list[CutJob]:
    """The cutting jobs whose idempotency keys begin so, oldest first."""
    return _jobs(
        session, Job.tenant == tenant, Job.idempotency_key.startswith(prefix, autoescape=True)
    )


def _jobs(session: Session, *where: ColumnElement[bool]) -> list[CutJob]:
    rows = session.execute(
        select(Job, Step.report)
        .join(Step, Step.job_id == Job.id)
        .where(Step.kind == StepKind.CUT, *where)
        .order_by(Job.id)
    )
    return [
        CutJob(
            job.id,
            job.external_id,
            JobState(job.state),
            job.error_code,
            job.error_detail,
            CutReport.from_document(report) if report else None,
        )
        for job, report in rows
    ]
