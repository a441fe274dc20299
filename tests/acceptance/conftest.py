"""Fixtures: an installation of one's own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from installation import Installation, installed
from tinymodel import write_package


@pytest.fixture
def installation(tmp_path: Path, face_models: Path) -> Iterator[Installation]:
    """fimq with the tiny model as its default one."""
    write_package(tmp_path / "models" / "default")
    with installed(tmp_path, face_models) as made:
        yield made
