"""Submission: a request becomes a video row, a job row and its first step, in one transaction.

Idempotent: the same key with the same request gives the same job; the same content gives
the same video; and where the newest verdict of the same model, policy and sampling is known,
the job is born done with it, unless the request asks for a rescan.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fimq.cuts import Cut
from fimq.errors import (
    DeletedMeanwhile,
    IdempotencyConflict,
    JobNotFound,
    UsageError,
    WrongState,
)
from fimq.identifiers import new_id
from fimq.ledger import contents, models
from fimq.ledger.clock import now
from fimq.ledger.database import Ledger
from fimq.ledger.locks import lock_content
from fimq.ledger.states import JobState, StepKind
from fimq.ledger.tables import Event, Job, Step, VerdictRow, Video

#: As wide as the column; SQLite would take any.
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that lie in the store."""

    sha256: str
    bytes: int
    store_key: str
    name: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asks of a video."""

    lane: str = "standard"
    model: str = "default"
    #: what judges where nothing was promoted or imported under that name
    package_sha256: str | None = None
    policy: str = "standard"
    policy_version: int | None = None
    sampling: str = "every:25"
    min_samples: int = 16
    external_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    rescan: bool = False
    #: judge nothing: cut crops, in this way
    cut: Cut | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What the steps need to know, as stored with the job."""
        return {
            "sampling": self.sampling,
            "min_samples": self.min_samples,
            "tags": dict(self.tags),
            **({"cut": self.cut.options} if self.cut else {}),
        }

    def digest(self, sha256: str) -> str:
        """The request as one hash: what must be equal under one idempotency key."""
        # Which build of a model or policy is installed, or promoted, is not part of what the
        # caller asked for. The names are those that keys of earlier releases were hashed with.
        asked = {**asdict(self), "model_sha256": None, "policy_version": None, "sha256": sha256}
        del asked["package_sha256"]
        if self.cut is None:
            del asked["cut"]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job that a request got."""

    job_id: str
    created: bool  #: False: this idempotency key had it already
    step_id: str | None  #: the first step, to ring for; None where nothing is left to do
    reused_from: str | None = None  #: the job whose verdict was taken over


def submit(
    ledger: Ledger,
    content: Content,
    request: Request,
    *,
    tenant: str = "default",
    idempotency_key: str | None = None,
    kept: Callable[[str], bool] | None = None,
) -> Submitted:
    """Make a job, or return the one that this key or content already has.

    `kept` says whether the store has a key. It is asked, inside the transaction, only about
    content that was deleted at some time: perhaps after it was found in the store or put
    there, and before this.

    Raises:
        DeletedMeanwhile: the content has to be stored again.
        IdempotencyConflict: the key was used for another request.
        UsageError: the key is too long.
    """
    if idempotency_key is not None and len(idempotency_key) > LONGEST_KEY:
        raise UsageError(f"an idempotency key has at most {LONGEST_KEY} characters")
    # A race is lost on the content, then on the key; each is there at the next try.
    for last in (False, False, True):
        try:
            with ledger.write() as session:
                return _submit(session, content, request, tenant, key=idempotency_key, kept=kept)
        except IntegrityError:
            if last:
                raise
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _submit(
    session: Session,
    content: Content,
    request: Request,
    tenant: str,
    *,
    key: str | None,
    kept: Callable[[str], bool] | None,
) -> Submitted:
    digest = request.digest(content.sha256)
    if key is not None and (known := _by_key(session, tenant, key)) is not None:
        if known.request_hash != digest:
            raise IdempotencyConflict(f"the idempotency key {key!r} was used for another request")
        return Submitted(known.id, created=False, step_id=None)

    lock_content(session, content.sha256)
    if (
        kept is not None
        and contents.was_deleted(session, content.sha256)
        and not kept(content.store_key)
    ):
        raise DeletedMeanwhile
    # Locked, so that no deletion takes its bytes, or the verdict to be taken over, meanwhile.
    video = session.scalar(
        select(Video)
        .where(Video.tenant == tenant, Video.sha256 == content.sha256)
        .with_for_update(key_share=True)
    )
    if video is None:
        video = Video(
            id=new_id(),
            tenant=tenant,
            sha256=content.sha256,
            bytes=content.bytes,
            store_key=content.store_key,
            name=content.name,
        )
        session.add(video)
        session.flush()
    else:
        # Where the bytes were found just now; where they lay before they may be gone.
        video.purged_at = None
        video.store_key = content.store_key

    job = Job(
        id=new_id(),
        tenant=tenant,
        video_id=video.id,
        name=content.name,
        external_id=request.external_id,
        idempotency_key=key,
        request_hash=digest,
        lane=request.lane,
        options=request.options,
        model=request.model,
        policy=request.policy,
    )
    session.add(job)
    session.flush()
    judges = request.cut is None
    if (
        judges
        and not request.rescan
        and (verdict := _known_verdict(session, job, request)) is not None
    ):
        _take_over(session, job, verdict)
        return Submitted(job.id, created=True, step_id=None, reused_from=verdict.job_id)
    kind = StepKind.PLAN if judges else StepKind.CUT
    return Submitted(job.id, created=True, step_id=_add_step(session, job, kind))


def _by_key(session: Session, tenant: str, key: str) -> Job | None:
    return session.scalar(select(Job).where(Job.tenant == tenant, Job.idempotency_key == key))


def _add_step(session: Session, job: Job, kind: StepKind) -> str:
    step = Step(id=new_id(), tenant=job.tenant, job_id=job.id, kind=kind, lane=job.lane)
    session.add(step)
    session.flush()
    return step.id


def _known_verdict(session: Session, job: Job, request: Request) -> VerdictRow | None:
    """The newest verdict on the same content by the same model, policy and sampling."""
    promoted = models.find(session, job.tenant, request.model)
    wanted = promoted.package_sha256 if promoted else request.package_sha256
    if wanted is None:
        return None
    candidates = session.scalars(
        select(VerdictRow)
        .join(Job, Job.id == VerdictRow.job_id)
        .where(
            Job.video_id == job.video_id,
            Job.state == JobState.DONE,
            Job.policy == request.policy,
            VerdictRow.reused_from.is_(None),
        )
        .order_by(VerdictRow.created_at.desc())
        .limit(20)
    )
    for verdict in candidates:
        made_with = session.get_one(Job, verdict.job_id).options
        same_sampling = all(
            made_with.get(name) == request.options[name] for name in ("sampling", "min_samples")
        )
        same_rules = (
            verdict.model.get("package_sha256") == wanted
            and verdict.policy.get("version") == request.policy_version
        )
        if same_sampling and same_rules:
            return verdict
    return None


def _take_over(session: Session, job: Job, verdict: VerdictRow) -> None:
    columns = {
        column.key: getattr(verdict, column.key)
        for column in VerdictRow.__table__.columns
        if column.key not in {"job_id", "reused_from", "supersedes", "tenant"}
    }
    session.add(VerdictRow(**columns, job_id=job.id, tenant=job.tenant, reused_from=verdict.job_id))
    session.add(Event(id=new_id(), tenant=job.tenant, job_id=job.id, kind="job.done"))
    source = session.get_one(Job, verdict.job_id)
    session.execute(
        update(Job)
        .where(Job.id == job.id)
        .values(
            state=JobState.DONE,
            samples_planned=source.samples_planned,
            samples_done=source.samples_done,
            started_at=now(),
            ended_at=now(),
        )
    )


def retry(ledger: Ledger, job_id: str) -> Submitted:
    """Make a new job of the same request as `job_id`, which failed or was cancelled.

    The old job keeps its end and names its successor; a second retry of it is refused.

    Raises:
        JobNotFound: no such job.
        WrongState: the job did not fail and was not cancelled, was retried before, or cuts crops.
    """
    with ledger.write() as session:
        old = session.get(Job, job_id, with_for_update={"key_share": True})
        if old is None:
            raise JobNotFound
        if old.state not in {JobState.FAILED, JobState.CANCELLED}:
            raise WrongState(f"the job is {old.state}; only a failed or cancelled one is retried")
        if old.cuts:
            raise WrongState("it cuts crops; who asked for them asks again: fimq train prepare")
        if old.superseded_by is not None:
            raise WrongState(f"the job was retried already, as {old.superseded_by}")
        job = Job(
            id=new_id(),
            tenant=old.tenant,
            video_id=old.video_id,
            name=old.name,
            external_id=old.external_id,
            request_hash=old.request_hash,
            lane=old.lane,
            options=old.options,
            model=old.model,
            policy=old.policy,
        )
        session.add(job)
        session.flush()
        old.superseded_by = job.id
        return Submitted(job.id, created=True, step_id=_add_step(session, job, StepKind.PLAN))
