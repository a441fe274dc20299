"""Data sets: what a reader of a layout promises, and what all of them need to read one.

A reader looks at names and lists, never into videos. It says what there is before anything is
decoded, so that a half-copied data set ends in one line instead of in a model trained on half.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from fimq.errors import DatasetIncomplete, DatasetMissing

STILLS = frozenset({".avif", ".jpeg", ".jpg", ".png", ".webp"})
VIDEOS = frozenset(
    {".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"}
)

#: An option as it is kept with the crops and compared with that of an earlier run.
Option = str | bool | float | list[str] | None


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a data set, and what is known of it."""

    path: str  #: below the root, with `/`
    collection: str  #: what it is one of, as `Youtube`, `Deepfakes`
    manipulated: bool
    method: str | None = None  #: of the manipulation; None of a real file
    source: str | None = None  #: video or person whose face, voice or motion was put in
    target: str | None = None  #: video or person that it was put on
    identities: tuple[str, ...] = ()  #: everyone who may be seen in it, as far as known
    compression: str | None = None  #: where the data set says so
    alone: bool = False  #: it shows one person: other faces in it are not its subject

    @property
    def still(self) -> bool:
        """Whether its name is that of a picture."""
        return PurePosixPath(self.path).suffix.lower() in STILLS


class DataSet(Protocol):
    """The files of one layout below a root. A new one joins by adding itself to `known`."""

    @property
    def options(self) -> Mapping[str, Option]:
        """What was asked for beyond the root: other options are another data set."""
        ...

    def items(self) -> list[Item]:
        """Every file, once each, in the order of their paths.

        Raises:
            DatasetMissing: there is no such data set here.
            DatasetIncomplete: a part of it is missing, and not all was asked to be.
            DatasetInvalid: a list or a name in it cannot be what it should be.
            ClassEmpty: a class has no files.
        """
        ...


@dataclass(frozen=True)
class Published:
    """What readers of a layout without choices have in common: a root, whole or in part."""

    root: Path
    partial: bool = False  #: take what there is

    @property
    def options(self) -> Mapping[str, Option]:
        """See `DataSet`."""
        return {}


def place(root: Path, *candidates: str) -> Path:
    """The first of these paths that is there.

    Raises:
        DatasetMissing: none is.
    """
    for candidate in candidates:
        if (root / candidate).exists():
            return root / candidate
    raise DatasetMissing(f"{root} has no {' or '.join(candidates)}")


def names(folder: Path, suffixes: frozenset[str]) -> list[str]:
    """Names of the files in a folder, sorted; none where there is no folder.

    What begins with a dot is a file manager's, or the rest of a copy that was broken off.
    """
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.suffix.lower() in suffixes and not entry.name.startswith(".")
    )


def below(root: Path, folder: Path, suffixes: frozenset[str]) -> Iterator[str]:
    """Paths of the files in a folder and in those below it, from the root, sorted."""
    for where, folders, _ in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names(Path(where), suffixes):
            yield (Path(where) / name).relative_to(root).as_posix()


def demand(lacking: Sequence[str], root: Path, *, partial: bool) -> None:
    """Be content only if nothing lacks, or what there is was asked for.

    Raises:
        DatasetIncomplete: with the first few of what lacks.
    """
    if not lacking or partial:
        return
    few = ", ".join(lacking[:3])
    more = f" and {len(lacking) - 3:,} more" if len(lacking) > 3 else ""
    raise DatasetIncomplete(f"{root} lacks {few}{more}", lacking=len(lacking))
