"""Installed models: those in folders of this machine, by the names that jobs use.

`default` is the model inside the wheel, unless a folder of that name was put over it. Every
other name is a folder in the installed models. What was imported into the ledger goes before
all of these (`registry`).
"""

from __future__ import annotations

from pathlib import Path

from fimq.models.files import CARD, GOLDEN, MANIFEST, NETWORK, PackageFiles
from fimq.models.manifest import Manifest

DEFAULT = "default"
BUILT_IN = Path(__file__).parent / DEFAULT

#: What a file is by its state; a folder's hash is computed again when one changed.
_Facts = tuple[tuple[int, int, int, int] | None, ...]
_known: dict[Path, tuple[_Facts, str]] = {}


def names(installed_models: Path) -> list[str]:
    """The names of the models here, the default one first."""
    found = {folder.name for folder in _folders(installed_models)}
    if (BUILT_IN / MANIFEST).is_file():
        found.add(DEFAULT)
    return sorted(found, key=lambda name: (name != DEFAULT, name))


def folder_of(name: str, installed_models: Path) -> Path | None:
    """Where a model lies. A name never becomes a path: it must be a folder that is listed."""
    if name in {folder.name for folder in _folders(installed_models)}:
        return installed_models / name
    if name == DEFAULT and (BUILT_IN / MANIFEST).is_file():
        return BUILT_IN
    return None


def manifest_of(folder: Path) -> Manifest:
    """A model's manifest, without its other bytes being read.

    Raises:
        ModelMissing, ModelInvalid: there is none, or it does not hold together.
    """
    return Manifest.read(folder / MANIFEST)


def package_sha256(folder: Path) -> str:
    """The hash of a package, computed again only when a file of it changed.

    Raises:
        ModelMissing, ModelInvalid: a file is missing or cannot be read.
    """
    facts = tuple(_facts(folder / name) for name in (CARD, GOLDEN, MANIFEST, NETWORK))
    known = _known.get(folder)
    if known is None or known[0] != facts:
        known = facts, PackageFiles.from_folder(folder).sha256
        _known[folder] = known
    return known[1]


def _folders(installed_models: Path) -> list[Path]:
    if not installed_models.is_dir():
        return []
    return sorted(path for path in installed_models.iterdir() if (path / MANIFEST).is_file())


def _facts(file: Path) -> tuple[int, int, int, int] | None:
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_ctime_ns
