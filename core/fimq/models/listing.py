"""The listing: every model that this machine can judge by, and what jobs call it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from fimq.errors import ModelError
from fimq.ledger import models
from fimq.ledger.database import Ledger
from fimq.ledger.tables import Model
from fimq.models import installed
from fimq.models.manifest import Manifest
from fimq.models.registry import Found, found_in, found_of


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One version of a model."""

    model: str  #: name@version
    sha256: str  #: of model.onnx
    package_sha256: str  #: of all four files
    place: Literal["imported", "folder", "wheel"]
    names: list[str]  #: what jobs call it, beside name@version; `default` judges
    classes: list[str]
    experimental: bool
    created: datetime
    imported_at: datetime | None
    imported_by: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What is here, and what should be."""

    found: list[tuple[ListedModel, Found]]
    broken: list[tuple[Path, ModelError]]  #: folders of this machine


def listing(ledger: Ledger, tenant: str, installed_models: Path) -> Listing:
    """Every model, those in folders first."""
    with ledger.read() as session:
        means = models.aliases(session, tenant)
        imported = models.imported(session, tenant)
    made = Listing([], [])
    for name in installed.names(installed_models):
        folder = installed.folder_of(name, installed_models)
        if folder is None:
            continue
        try:
            found, manifest = found_in(folder), installed.manifest_of(folder)
        except ModelError as error:
            made.broken.append((folder, error))
            continue
        names = [] if means.get(name) else [name]
        made.found.append((_listed(manifest, found, names), found))
    for model in imported:
        names = [alias for alias, model_id in means.items() if model_id == model.id]
        found, manifest = found_of(model), Manifest.model_validate(model.manifest)
        made.found.append((_listed(manifest, found, names), found))
    return made


def _listed(manifest: Manifest, found: Found, names: list[str]) -> ListedModel:
    model = found.place if isinstance(found.place, Model) else None
    return ListedModel(
        model=found.label,
        sha256=manifest.sha256,
        package_sha256=found.package_sha256,
        place="imported" if model else "wheel" if found.place == installed.BUILT_IN else "folder",
        names=names,
        classes=[kind.name for kind in manifest.classes],
        experimental=manifest.experimental,
        created=manifest.created,
        imported_at=model.imported_at if model else None,
        imported_by=model.imported_by if model else None,
    )
