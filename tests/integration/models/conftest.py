"""Fixtures of the registry: on each kind of database, with packages that can be proved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fimq.ledger.database import Ledger
from fimq.models.changes import Changes
from fimq.models.files import PackageFiles
from fimq.models.registry import Registry
from fimq.store.base import Store, open_store
from registered import unproved
from tinymodel import write_package

Packer = Callable[..., PackageFiles]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path / 'store'}", make=True)


@pytest.fixture
def registry(ledger: Ledger, store: Store, tmp_path: Path) -> Registry:
    return Registry(ledger, store, tmp_path / "models")


@pytest.fixture
def changes(ledger: Ledger, store: Store, registry: Registry) -> Changes:
    return Changes(ledger, store, registry, tenant="default", by="a test")


@pytest.fixture
def package(tmp_path: Path) -> Packer:
    """A package by its version."""

    def pack(version: str = "1", **how) -> PackageFiles:
        folder = tmp_path / f"package-{version}-{len(how)}"
        return PackageFiles.from_folder(write_package(folder, version=version, **how))

    return pack


@pytest.fixture
def three(changes: Changes, package: Packer) -> Changes:
    """Three versions, none of them promoted."""
    for version in "123":
        changes.add(package(version), unproved)
    return changes
