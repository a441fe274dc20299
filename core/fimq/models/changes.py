"""Changes of the registry: import, promote, roll back. None of them needs a worker's restart.

A package is put to the proof before it is kept, and again before it is promoted, by whoever
the caller names for that: core loads no network.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from fimq.errors import (
    ModelInvalid,
    ModelMissing,
    NothingToRollBack,
    StoreChanged,
    UsageError,
    VersionTaken,
)
from fimq.identifiers import new_id
from fimq.ledger import models
from fimq.ledger.database import Ledger
from fimq.ledger.models import Promoted
from fimq.ledger.tables import Model
from fimq.ledger.texts import storable_document
from fimq.models import installed
from fimq.models.files import MOST_ARCHIVE, PackageFiles
from fimq.models.manifest import PLAIN
from fimq.models.network_file import check_whole
from fimq.models.package import ModelPackage
from fimq.models.registry import LONGEST, Registry
from fimq.store.base import Store, Stored

#: Loads the model of an archive and scores its golden crops; raises what is wrong with it.
Prove = Callable[[bytes], object]


class Changes:
    """Changes the models of one tenant."""

    def __init__(
        self, ledger: Ledger, store: Store, registry: Registry, *, tenant: str, by: str
    ) -> None:
        """Change nothing yet.

        Args:
            ledger: where versions and promotions are entered.
            store: where packages lie; not through a cache, which could hide what is damaged.
            registry: finds them.
            tenant: whose models.
            by: who changes them, for the history.
        """
        self.ledger = ledger
        self.store = store
        self.registry = registry
        self.tenant = tenant
        self.by = by

    def add(self, files: PackageFiles, prove: Prove) -> tuple[Model, bool]:
        """Import a package: prove it, keep its bytes, enter it. Nothing is promoted.

        In this order: who dies on the way leaves at most an object that nobody names, which
        the next import takes. Importing the same again mends its object if that is damaged.

        Returns:
            The version, and whether it was entered just now.

        Raises:
            ModelMissing, ModelInvalid: it is no sound package.
            RuntimeMissing: there is nobody here who can prove it.
            VersionTaken: there is another package of this name and version.
            ServiceError: the store or the ledger is away.
        """
        package = _sound(files)
        manifest = package.manifest
        self._check_free(package)
        archive = files.archive()
        prove(archive)
        kept = self._keep(archive)
        model = Model(
            id=new_id(),
            tenant=self.tenant,
            name=manifest.name,
            version=manifest.version,
            sha256=manifest.sha256,
            package_sha256=package.sha256,
            store_key=kept.key,
            object_sha256=kept.sha256,
            manifest=storable_document(manifest.model_dump(mode="json")),
            imported_by=self.by,
        )
        entered = models.add(self.ledger, model)
        return self._imported(manifest.label), entered

    def promote(self, reference: str, alias: str, prove: Prove) -> tuple[Promoted, bool]:
        """Let an alias mean an imported version, once its object was verified and proved.

        Returns:
            What the alias means now, and whether that was changed just now.

        Raises:
            ModelMissing: it was not imported.
            ModelDamaged, ModelInvalid, RuntimeMissing: it cannot judge.
        """
        if re.fullmatch(PLAIN, alias) is None:
            raise UsageError(f"{alias[:LONGEST]!r} cannot be the name of a model")
        prove(self.registry.archive(self._imported(reference)))
        changed = models.promote(self.ledger, self.tenant, alias, reference, by=self.by)
        return self.history(alias)[0], changed

    def roll_back(self, alias: str) -> Promoted:
        """Let an alias mean what it meant before, once its object was verified.

        Raises:
            NothingToRollBack: nothing counted before what counts now, so that jobs which wait
                would find no model.
            ModelDamaged: that one's object is not what was imported.
        """
        with self.ledger.read() as session:
            target = models.before(session, self.tenant, alias)
        if target is not None:
            self.registry.archive(target)
        elif installed.folder_of(alias, self.registry.installed_models) is None:
            raise NothingToRollBack(f"nothing was {alias!r} before it was promoted")
        models.roll_back(self.ledger, self.tenant, alias, by=self.by)
        return self.history(alias)[0]

    def history(self, alias: str) -> list[Promoted]:
        """What an alias meant, the newest first."""
        with self.ledger.read() as session:
            return models.history(session, self.tenant, alias)

    def _imported(self, reference: str) -> Model:
        with self.ledger.read() as session:
            model = models.find(session, self.tenant, reference)
        if model is None:
            raise ModelMissing(f"{reference} was not imported")
        return model

    def _check_free(self, package: ModelPackage) -> None:
        """Say at once what the ledger would say in the end."""
        with self.ledger.read() as session:
            known = models.find(session, self.tenant, package.manifest.label)
        if known is not None and known.package_sha256 != package.sha256:
            raise VersionTaken(models.taken(known))

    def _keep(self, archive: bytes) -> Stored:
        """Put an object, and read it as a worker will; what damaged lies there is replaced."""
        for last in (False, True):
            kept = self.store.put(io.BytesIO(archive), limit=MOST_ARCHIVE)
            try:
                with self.store.open(kept.key, kept.sha256):
                    return kept
            except StoreChanged:
                if last:
                    raise
                self.store.delete(kept.key)
        raise AssertionError  # pragma: no cover - the loop returns or raises


def _sound(files: PackageFiles) -> ModelPackage:
    """A package that may be kept for good."""
    check_whole(files.network)
    package = ModelPackage.of(files)
    if not package.card.strip():
        raise ModelMissing("The model has no card.md", where=files.where)
    if len(package.manifest.label) > LONGEST:
        raise ModelInvalid(f"name and version have {LONGEST - 1} characters at most")
    return package
