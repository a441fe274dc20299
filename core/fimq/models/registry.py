"""The registry: which model a name means now, and its verified bytes.

A name is an alias, such as `default`, or `name@version`. What was imported into the ledger
goes first: it is the same for every machine, and its package is one object in the store.
Then come the folders of this machine and the model inside the wheel (`installed`), which is
what `default` means until something is promoted.

A job asks by name once, when it is planned, and from then on by the package's hash. Nothing
is given out whose hash is not the one that was asked for.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy.orm import Session

from fimq.errors import (
    ModelAway,
    ModelDamaged,
    ModelInvalid,
    ModelMissing,
    StoreChanged,
    StoreMissing,
)
from fimq.ledger import models
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Model
from fimq.models import installed
from fimq.models.files import MOST_ARCHIVE, PackageFiles
from fimq.models.manifest import PLAIN
from fimq.models.package import ModelPackage
from fimq.settings import Settings
from fimq.store.base import Store, open_store

_REFERENCE: Final = re.compile(rf"{PLAIN}(@{PLAIN})?")
#: As wide as the jobs' column.
LONGEST: Final = 128

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Found:
    """A model that can judge, and where its bytes lie."""

    label: str  #: name@version
    package_sha256: str
    place: Model | Path  #: its row in the ledger, or a folder of this machine


class Registry:
    """The models that a process on this machine can judge by."""

    def __init__(self, ledger: Ledger | None, store: Store, installed_models: Path) -> None:
        """Ask nobody yet.

        Args:
            ledger: where imported models are entered; None: there is none yet.
            store: where their packages lie.
            installed_models: the folder of this machine's own models.
        """
        self.ledger = ledger
        self.store = store
        self.installed_models = installed_models

    def find(self, tenant: str, reference: str) -> Found:
        """The model that a name means now.

        Raises:
            ModelMissing: there is none.
            ModelInvalid: the one in this machine's folder is damaged.
        """
        if _REFERENCE.fullmatch(reference) is None or len(reference) > LONGEST:
            raise ModelMissing(f"there is no model {reference[:LONGEST]!r} here")
        model = self._ask(lambda session: models.find(session, tenant, reference))
        if model is not None:
            return found_of(model)
        if "@" in reference:
            for found in self.folders():
                if found.label == reference:
                    return found
        elif folder := installed.folder_of(reference, self.installed_models):
            return found_in(folder)
        raise ModelMissing(f"there is no model {reference!r} here")

    def pinned(self, tenant: str, package_sha256: str) -> Found:
        """The model of this hash, by which a job is judged.

        Raises:
            ModelAway: it is not here; it may be on another machine.
        """
        model = self._ask(lambda session: models.of_package(session, tenant, package_sha256))
        if model is not None:
            return found_of(model)
        for found in self.folders():
            if found.package_sha256 == package_sha256:
                return found
        raise ModelAway(f"the model {package_sha256[:12]}, which judges this video, is not here")

    def folders(self) -> Iterator[Found]:
        """The sound models in folders of this machine, the default one first."""
        for name in installed.names(self.installed_models):
            folder = installed.folder_of(name, self.installed_models)
            try:
                if folder is not None:
                    yield found_in(folder)
            except (ModelInvalid, ModelMissing):
                # Who asks for this one by its name is told.
                continue

    def open(self, found: Found) -> ModelPackage:
        """The package of a model, every byte of it verified.

        Raises:
            ModelDamaged: the store has other bytes, or none.
            ModelMissing, ModelInvalid: it is not what its manifest says.
            ModelAway: the folder holds another model by now.
            ServiceError: the store is away.
        """
        if isinstance(found.place, Path):
            files = PackageFiles.from_folder(found.place)
        else:
            where = f"{found.label} in the store"
            files = PackageFiles.from_archive(io.BytesIO(self.archive(found.place)), where)
        package = ModelPackage.of(files)
        if package.sha256 != found.package_sha256:
            raise ModelAway(f"what lies here as {found.label} is another package by now")
        return package

    def archive(self, model: Model) -> bytes:
        """The object of an imported model, as the store has it.

        Raises:
            ModelDamaged: the store has other bytes, or none.
            ServiceError: the store is away.
        """
        label = models.label(model)
        try:
            with self.store.open(model.store_key, model.object_sha256) as source:
                return source.read(MOST_ARCHIVE)
        except StoreChanged as error:
            raise ModelDamaged(f"the object of {label} in the store is damaged") from error
        except StoreMissing as error:
            raise ModelDamaged(f"the object of {label} is not in the store") from error

    def _ask(self, question: Callable[[Session], _Answer | None]) -> _Answer | None:
        if self.ledger is None:
            return None
        with self.ledger.read() as session:
            return question(session)


@contextmanager
def open_registry(settings: Settings) -> Iterator[Registry]:
    """The registry, for who has no ledger open. One that was never made has no models.

    Raises:
        LedgerUnreachable, LedgerOutdated, LedgerNewer: why not the ledger.
        StoreUnknown: there is no such store.
    """
    with closing(Ledger(settings.ledger)) as ledger:
        made = ledger.schema() is not None
        if made:
            ledger.check_schema()
        store = open_store(settings.store, **settings.store_options)
        yield Registry(ledger if made else None, store, settings.installed_models)


def found_of(model: Model) -> Found:
    """An imported model."""
    return Found(models.label(model), model.package_sha256, model)


def found_in(folder: Path) -> Found:
    """A model in a folder of this machine.

    Raises:
        ModelMissing, ModelInvalid: it is damaged.
    """
    return Found(installed.manifest_of(folder).label, installed.package_sha256(folder), folder)
