"""Models in the ledger: which versions were imported, and what each alias means.

A version is never changed: name, version and bytes belong together for good. What an alias
such as `default` means is the newest row of a history that is only added to; a rollback is a
row that promotes what counted before. Before the first row an alias means what the
installation has under that name, such as the model inside the wheel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fimq.errors import ModelMissing, NothingToRollBack, VersionTaken
from fimq.identifiers import new_id
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Model, Promotion

#: More people at once promote nothing.
_TRIES = 20

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Promoted:
    """A row of an alias's history."""

    alias: str
    ordinal: int  #: 1 is the first
    kind: str  #: promote or rollback
    model: str | None  #: name@version; None: what the installation has under that name
    before: str | None  #: what counted until then
    promoted_at: datetime
    promoted_by: str


def find(session: Session, tenant: str, reference: str) -> Model | None:
    """The imported model that `name@version` names, or an alias means now."""
    name, at, version = reference.partition("@")
    if at:
        return session.scalar(
            select(Model).where(
                Model.tenant == tenant, Model.name == name, Model.version == version
            )
        )
    newest = _newest(session, tenant, name)
    return None if newest is None or newest.model_id is None else _model(session, newest)


def of_package(session: Session, tenant: str, package_sha256: str) -> Model | None:
    """The imported model of these very files."""
    return session.scalar(
        select(Model).where(Model.tenant == tenant, Model.package_sha256 == package_sha256)
    )


def imported(session: Session, tenant: str) -> list[Model]:
    """Every imported version, by name, the oldest import first."""
    return list(
        session.scalars(
            select(Model)
            .where(Model.tenant == tenant)
            .order_by(Model.name, Model.imported_at, Model.id)
        )
    )


def aliases(session: Session, tenant: str) -> dict[str, str | None]:
    """What each alias that was ever promoted means now: the id of a model, or None."""
    newest = (
        select(Promotion.alias, func.max(Promotion.ordinal).label("ordinal"))
        .where(Promotion.tenant == tenant)
        .group_by(Promotion.alias)
        .subquery()
    )
    rows = session.execute(
        select(Promotion.alias, Promotion.model_id)
        .join(
            newest,
            (Promotion.alias == newest.c.alias) & (Promotion.ordinal == newest.c.ordinal),
        )
        .where(Promotion.tenant == tenant)
        .order_by(Promotion.alias)
    )
    return dict(rows.tuples().all())


def history(session: Session, tenant: str, alias: str) -> list[Promoted]:
    """The history of an alias, the newest first."""
    rows = session.execute(
        select(Promotion, Model)
        .outerjoin(Model, Model.id == Promotion.model_id)
        .where(Promotion.tenant == tenant, Promotion.alias == alias)
        .order_by(Promotion.ordinal)
    ).all()
    told: list[Promoted] = []
    for row, model in rows:
        told.append(
            Promoted(
                alias=row.alias,
                ordinal=row.ordinal,
                kind=row.kind,
                model=None if model is None else label(model),
                before=told[-1].model if told else None,
                promoted_at=row.promoted_at,
                promoted_by=row.promoted_by,
            )
        )
    return told[::-1]


def label(model: Model) -> str:
    """`name@version`."""
    return f"{model.name}@{model.version}"


def taken(model: Model) -> str:
    """Why a version cannot be imported."""
    return f"{label(model)} is another package here, sha256 {model.package_sha256[:12]}"


def add(ledger: Ledger, model: Model) -> bool:
    """Enter a version whose bytes lie in the store. False: it was entered before.

    Raises:
        VersionTaken: there is another package of this name and version.
    """

    def enter(session: Session) -> bool:
        known = find(session, model.tenant, label(model))
        if known is None:
            session.add(model)
            session.flush()
            return True
        if known.package_sha256 != model.package_sha256:
            raise VersionTaken(taken(known))
        # The same files; as one object they may have been packed in another way.
        known.store_key, known.object_sha256 = model.store_key, model.object_sha256
        return False

    return _alone(ledger, enter)


def promote(ledger: Ledger, tenant: str, alias: str, reference: str, *, by: str) -> bool:
    """Let an alias mean an imported model from now on. False: it does already.

    Raises:
        ModelMissing: it was not imported.
    """

    def enter(session: Session) -> bool:
        model = find(session, tenant, reference)
        if model is None:
            raise ModelMissing(f"{reference} was not imported")
        now_on = _newest(session, tenant, alias)
        if now_on is not None and now_on.model_id == model.id:
            return False
        session.add(
            Promotion(
                id=new_id(),
                tenant=tenant,
                alias=alias,
                ordinal=now_on.ordinal + 1 if now_on else 1,
                kind="promote",
                model_id=model.id,
                back_to=now_on.ordinal if now_on else 0,
                promoted_by=by,
            )
        )
        session.flush()
        return True

    return _alone(ledger, enter)


def before(session: Session, tenant: str, alias: str) -> Model | None:
    """What a rollback of this alias would return to; None: to before anything was promoted.

    Raises:
        NothingToRollBack: nothing counted before what counts now.
    """
    target = _target(session, _newest(session, tenant, alias), alias)
    return None if target is None or target.model_id is None else _model(session, target)


def roll_back(ledger: Ledger, tenant: str, alias: str, *, by: str) -> None:
    """Let an alias mean what it meant before. Done again, it goes one further back.

    Raises:
        NothingToRollBack: nothing counted before what counts now.
    """

    def enter(session: Session) -> None:
        now_on = _newest(session, tenant, alias)
        target = _target(session, now_on, alias)
        session.add(
            Promotion(
                id=new_id(),
                tenant=tenant,
                alias=alias,
                ordinal=now_on.ordinal + 1 if now_on else 1,
                kind="rollback",
                model_id=target.model_id if target else None,
                back_to=target.back_to if target else None,
                promoted_by=by,
            )
        )
        session.flush()

    _alone(ledger, enter)


def _newest(session: Session, tenant: str, alias: str) -> Promotion | None:
    return session.scalar(
        select(Promotion)
        .where(Promotion.tenant == tenant, Promotion.alias == alias)
        .order_by(Promotion.ordinal.desc())
        .limit(1)
    )


def _target(session: Session, now_on: Promotion | None, alias: str) -> Promotion | None:
    """The row that counted before; None: there was no row then."""
    if now_on is None or now_on.back_to is None:
        raise NothingToRollBack(f"nothing was promoted as {alias!r} before what counts now")
    return session.scalar(
        select(Promotion).where(
            Promotion.tenant == now_on.tenant,
            Promotion.alias == alias,
            Promotion.ordinal == now_on.back_to,
        )
    )


def _model(session: Session, promotion: Promotion) -> Model:
    return session.get_one(Model, promotion.model_id)


def _alone(ledger: Ledger, decide: Callable[[Session], _Answer]) -> _Answer:
    """Decide by what is there; once more where another did so at the same moment."""
    for _ in range(_TRIES):
        try:
            with ledger.write() as session:
                return decide(session)
        except IntegrityError:
            continue
    with ledger.write() as session:
        return decide(session)
