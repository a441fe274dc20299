"""The registry: which models are here, by the names that jobs use.

`default` is the model inside the wheel, unless a folder of that name was installed over it.
Every other name is a folder in the installed models.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fimq.errors import ModelInvalid
from fimq.models.manifest import FILE_NAME, Manifest
from fimq.models.package import ModelPackage

DEFAULT = "default"
_BUILT_IN = Path(__file__).parent / DEFAULT


def _folder(name: str, installed_models: Path) -> Path | None:
    """Where a model lies. A name never becomes a path: it must be a folder that is listed."""
    if name in {folder.name for folder in _folders(installed_models)}:
        return installed_models / name
    if name == DEFAULT and (_BUILT_IN / FILE_NAME).is_file():
        return _BUILT_IN
    return None


def _folders(installed_models: Path) -> list[Path]:
    if not installed_models.is_dir():
        return []
    return sorted(path for path in installed_models.iterdir() if (path / FILE_NAME).is_file())


def find_manifest(name: str, installed_models: Path) -> Manifest | None:
    """A model's manifest, without its bytes being read; None where there is no such model.

    Raises:
        ModelInvalid: the manifest does not hold together.
    """
    folder = _folder(name, installed_models)
    return None if folder is None else Manifest.read(folder / FILE_NAME)


def find(name: str, installed_models: Path) -> ModelPackage | None:
    """A model, verified; None where there is no such model.

    Raises:
        ModelInvalid: a file is damaged or is not what the manifest says.
    """
    folder = _folder(name, installed_models)
    return None if folder is None else ModelPackage.open(folder)


def card(package: ModelPackage) -> str:
    """A model's card, in Markdown.

    Raises:
        ModelInvalid: the package has none.
    """
    try:
        return (package.folder / "card.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelInvalid(f"{package.manifest.label} has no card") from error


def installed(installed_models: Path) -> Iterator[tuple[str, Manifest]]:
    """Every model with the name that jobs use, the default one first."""
    names = {folder.name for folder in _folders(installed_models)}
    if DEFAULT not in names and (_BUILT_IN / FILE_NAME).is_file():
        yield DEFAULT, Manifest.read(_BUILT_IN / FILE_NAME)
    for name in sorted(names, key=lambda name: (name != DEFAULT, name)):
        yield name, Manifest.read(installed_models / name / FILE_NAME)
