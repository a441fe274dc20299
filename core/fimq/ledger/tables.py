"""The ledger's tables (SQLAlchemy declarative). Migrations must match them: a test compares.

Keys are UUIDv7 text in canonical form, so that an id sorts by time and a prefix of it is a
plain LIKE on every database. Times are UTC by the database's clock.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fimq.ledger.clock import UtcTime, now
from fimq.ledger.states import JobState, StepState

#: The schema these tables are; the newest migration carries the same name.
SCHEMA = "0004"

#: What is missing is NULL, not the JSON word null. JSON and not JSONB: nothing is searched by
#: what is inside it, and JSONB refuses the \u0000 that a video's metadata may hold.
_Json = JSON(none_as_null=True)


class Table(DeclarativeBase):
    """Base of every table; constraints are named alike on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcTime,
        dict[str, Any]: _Json,
        list[Any]: _Json,
    }

    tenant: Mapped[str] = mapped_column(String(64), default="default")


def _key() -> Mapped[str]:
    return mapped_column(String(36), primary_key=True)


def _job(*, primary: bool = False) -> Mapped[str]:
    return mapped_column(String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=primary)


class Video(Table):
    """Content, named by its sha256, stored once a tenant."""

    __tablename__ = "videos"
    __table_args__ = (UniqueConstraint("tenant", "sha256"),)

    id: Mapped[str] = _key()
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    store_key: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    probe: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=now())
    purged_at: Mapped[datetime | None]


class Job(Table):
    """One request to judge one video, or to cut the faces of one."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("tenant", "idempotency_key"),
        Index("ix_jobs_state_lane", "state", "lane"),
        Index("ix_jobs_video_id", "video_id"),
        Index("ix_jobs_ended_at", "ended_at"),
    )

    id: Mapped[str] = _key()
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id"))
    name: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    request_hash: Mapped[str] = mapped_column(String(64))
    lane: Mapped[str] = mapped_column(String(16))
    options: Mapped[dict[str, Any]]
    model: Mapped[str] = mapped_column(String(128))
    #: of the package that judges it; set by its plan, so that all its segments agree
    package_sha256: Mapped[str | None] = mapped_column(String(64))
    policy: Mapped[str] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16), default=JobState.QUEUED)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_detail: Mapped[str | None] = mapped_column(Text)
    segments: Mapped[int] = mapped_column(default=0)
    segments_left: Mapped[int] = mapped_column(default=0)
    samples_planned: Mapped[int] = mapped_column(default=0)
    samples_done: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now())
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    superseded_by: Mapped[str | None] = mapped_column(String(36))

    @property
    def cuts(self) -> bool:
        """Whether it judges nothing and cuts crops: no model, no policy, no verdict."""
        return "cut" in self.options


class Step(Table):
    """A unit of work of a job, held by at most one worker at a time."""

    __tablename__ = "steps"
    __table_args__ = (
        UniqueConstraint("job_id", "kind", "ordinal"),
        Index("ix_steps_state_not_before", "state", "not_before"),
        Index("ix_steps_lane_state_job_id", "lane", "state", "job_id", "ordinal"),
    )

    id: Mapped[str] = _key()
    job_id: Mapped[str] = _job()
    kind: Mapped[str] = mapped_column(String(16))
    ordinal: Mapped[int] = mapped_column(default=0)
    lane: Mapped[str] = mapped_column(String(16))
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(16), default=StepState.READY)
    fence: Mapped[int] = mapped_column(default=0)
    worker_id: Mapped[str | None] = mapped_column(String(36))
    lease_until: Mapped[datetime | None]
    executions: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime] = mapped_column(default=now())
    rung_at: Mapped[datetime | None]
    progress: Mapped[int] = mapped_column(default=0)
    report: Mapped[dict[str, Any] | None]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_detail: Mapped[str | None] = mapped_column(Text)


class Sample(Table):
    """One sampled frame."""

    __tablename__ = "samples"

    job_id: Mapped[str] = _job(primary=True)
    frame_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    pts: Mapped[int | None] = mapped_column(BigInteger)
    time_s: Mapped[float] = mapped_column(Float)
    state: Mapped[str] = mapped_column(String(16))
    quality: Mapped[dict[str, Any]]


class Face(Table):
    """One detected face in a sample. `score` is NULL for a face that was not scored."""

    __tablename__ = "faces"

    job_id: Mapped[str] = _job(primary=True)
    frame_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    box: Mapped[list[Any]]
    detector_score: Mapped[float]
    quality: Mapped[float]
    skipped: Mapped[str | None] = mapped_column(String(16))
    track: Mapped[int | None]
    score: Mapped[float | None]
    class_scores: Mapped[list[Any] | None]


class Track(Table):
    """The faces of one person through consecutive samples."""

    __tablename__ = "tracks"

    job_id: Mapped[str] = _job(primary=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first_frame: Mapped[int]
    last_frame: Mapped[int]
    start_s: Mapped[float]
    end_s: Mapped[float]
    faces: Mapped[int]
    scored: Mapped[int]
    score: Mapped[float | None]


class VerdictRow(Table):
    """What a job said in the end. `score` is NULL unless a face was scored."""

    __tablename__ = "verdicts"

    job_id: Mapped[str] = _job(primary=True)
    outcome: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str | None] = mapped_column(String(32))
    score: Mapped[float | None]
    method: Mapped[str | None] = mapped_column(String(64))
    track: Mapped[int | None]
    counts: Mapped[dict[str, Any]]
    coverage: Mapped[float]
    segments: Mapped[list[Any]]
    model: Mapped[dict[str, Any]]
    policy: Mapped[dict[str, Any]]
    sampling: Mapped[str] = mapped_column(String(64))
    runtime: Mapped[dict[str, Any]]
    versions: Mapped[dict[str, Any]]
    notes: Mapped[list[Any]]
    created_at: Mapped[datetime] = mapped_column(default=now())
    supersedes: Mapped[str | None] = mapped_column(String(36))
    reused_from: Mapped[str | None] = mapped_column(String(36))


class Event(Table):
    """The outbox: one event a job, written with its end, offered until delivered."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("job_id"),
        Index("ix_events_delivered_at", "delivered_at"),
    )

    id: Mapped[str] = _key()
    job_id: Mapped[str] = _job()
    kind: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=now())
    offers: Mapped[int] = mapped_column(default=0)
    offered_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]


class Model(Table):
    """One version of a model, imported; never changed."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("tenant", "name", "version"),)

    id: Mapped[str] = _key()
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    package_sha256: Mapped[str] = mapped_column(String(64))
    store_key: Mapped[str] = mapped_column(Text)
    object_sha256: Mapped[str] = mapped_column(String(64))
    manifest: Mapped[dict[str, Any]]
    imported_at: Mapped[datetime] = mapped_column(default=now())
    imported_by: Mapped[str] = mapped_column(Text)


class Promotion(Table):
    """What an alias means from here on; the newest row of an alias counts."""

    __tablename__ = "promotions"
    __table_args__ = (UniqueConstraint("tenant", "alias", "ordinal"),)

    id: Mapped[str] = _key()
    alias: Mapped[str] = mapped_column(String(64))
    ordinal: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    #: NULL: what the alias meant before anything was promoted
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"))
    #: the row that a rollback from here returns to; 0: to before the first; NULL: to nothing
    back_to: Mapped[int | None]
    promoted_at: Mapped[datetime] = mapped_column(default=now())
    promoted_by: Mapped[str] = mapped_column(Text)


class Worker(Table):
    """A worker's heartbeat."""

    __tablename__ = "workers"

    id: Mapped[str] = _key()
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(Integer)
    lanes: Mapped[list[Any]]
    slots: Mapped[int]
    facts: Mapped[dict[str, Any]]
    started_at: Mapped[datetime] = mapped_column(default=now())
    beat_at: Mapped[datetime] = mapped_column(default=now())
    drain_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
