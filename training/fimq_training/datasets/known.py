"""Known data sets: the layouts by the names that `fimq train prepare` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fimq.errors import DatasetMissing, UsageError
from fimq_training.datasets.base import DataSet
from fimq_training.datasets.celeb_df import CelebDF
from fimq_training.datasets.celeba import CelebA
from fimq_training.datasets.celeba_hq import CelebAHQ
from fimq_training.datasets.classes import FolderOfClasses
from fimq_training.datasets.dfdc import DFDC
from fimq_training.datasets.faceforensics import FaceForensics
from fimq_training.datasets.listed import ListedFiles
from fimq_training.datasets.portraits import Portraits


@dataclass(frozen=True, slots=True)
class Layout:
    """A reader, what it reads, and which options it takes beyond the root."""

    reader: Callable[..., DataSet]
    title: str
    takes: tuple[str, ...] = ("partial",)


LAYOUTS: Mapping[str, Layout] = {
    "ffpp": Layout(
        FaceForensics,
        "FaceForensics++ and DeepFakeDetection",
        ("compressions", "methods", "partial"),
    ),
    "celeba": Layout(CelebA, "CelebA, aligned pictures"),
    "celeba-hq": Layout(CelebAHQ, "CelebA-HQ, as CelebAMask-HQ has it"),
    "celeb-df": Layout(CelebDF, "Celeb-DF v2"),
    "dfdc": Layout(DFDC, "Deepfake Detection Challenge"),
    "folder": Layout(FolderOfClasses, "a folder of classes", ("manipulated",)),
    "csv": Layout(ListedFiles, "files that a CSV manifest names", ("manifest", "partial")),
    "portraits": Layout(Portraits, "free portraits and clips"),
}


def open_data_set(name: str, root: Path, **options: Any) -> DataSet:
    """The reader of a layout. Options that were not given are empty or None.

    Raises:
        DatasetMissing: there is no such folder.
        UsageError: the layout does not take an option that was given.
    """
    layout = LAYOUTS[name]
    given = {option: value for option, value in options.items() if value}
    if others := sorted(set(given) - set(layout.takes)):
        raise UsageError(f"{name} does not take --{_WORDS.get(others[0], others[0])}")
    if not root.is_dir():
        raise DatasetMissing(f"There is no folder {root}")
    return layout.reader(root, **given)


_WORDS = {"compressions": "compression"}
