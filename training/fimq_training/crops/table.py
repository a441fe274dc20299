"""The table of crops: one row a face, as `crops.parquet` has it.

A folder of crops is what `fimq train prepare` leaves: pictures under `faces/`, this table,
and `dataset.json` (how they were made). Every later room reads crops through this table
alone: splits choose rows, fits and evaluations read the files that rows name. Rows are in one
order, that of their keys, so that equal crops give equal tables and one fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fimq.errors import CropsDamaged, CropsMissing
from fimq_training.disk import room_for

TABLE = "crops.parquet"
#: What identifies a crop, and what is learnt from it: the rest may be measured anew.
_FINGERPRINTED = ("dataset", "file", "manipulated", "method", "sha256")


@dataclass(frozen=True, slots=True)
class Crop:
    """One row."""

    dataset: str  #: name of the data set, as `ffpp`
    collection: str  #: what it is one of, as `Youtube`, `CelebA-HQ`, `Deepfakes`
    video: str  #: path of the video or still below the data set's root
    frame: int  #: index in presentation order; 0 of a still
    ordinal: int  #: number of the face in its frame
    pts: int | None  #: of the frame, in ticks of its stream; None of a still
    time_s: float | None  #: of the frame, in seconds; None of a still
    x: float  #: box of the face in the displayed picture, in pixels
    y: float
    width: float
    height: float
    detector_score: float  #: of the finder, in [0, 1]
    manipulated: bool  #: the label
    method: str | None  #: of the manipulation; None of a real face
    source: str | None  #: video or person whose face, voice or motion was put in
    target: str | None  #: video or person that it was put on
    identities: tuple[str, ...]  #: everyone who may be seen in it; a split keeps them together
    codec: str  #: as `h264`, `jpeg`
    compression: str | None  #: as `raw`, `c23`, `c40`, where the data set says so
    size: int  #: side of the crop in pixels
    file: str  #: path of the crop below the folder, PNG
    sha256: str  #: of that file

    @property
    def key(self) -> str:
        """What names this crop over several folders."""
        return f"{self.dataset}/{self.file}"


_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("collection", pa.string()),
        ("video", pa.string()),
        ("frame", pa.int64()),
        ("ordinal", pa.int32()),
        ("pts", pa.int64()),
        ("time_s", pa.float64()),
        *((side, pa.float64()) for side in ("x", "y", "width", "height")),
        ("detector_score", pa.float64()),
        ("manipulated", pa.bool_()),
        ("method", pa.string()),
        ("source", pa.string()),
        ("target", pa.string()),
        ("identities", pa.list_(pa.string())),
        ("codec", pa.string()),
        ("compression", pa.string()),
        ("size", pa.int32()),
        ("file", pa.string()),
        ("sha256", pa.string()),
    ]
)


class CropTable:
    """The crops of one or several folders, in the order of their keys."""

    def __init__(self, crops: Iterable[Crop], folders: dict[str, Path] | None = None) -> None:
        """Keep rows; `folders` says where the files of each data set lie."""
        self.crops: Sequence[Crop] = sorted(crops, key=lambda crop: crop.key)
        self.folders = folders or {}

    @classmethod
    def read(cls, *folders: Path) -> Self:
        """Read the tables of folders that `prepare` made, as one.

        Raises:
            CropsMissing: a folder has no table.
            CropsDamaged: a table cannot be read, lacks a column, or two folders hold crops of
                one data set.
        """
        crops: list[Crop] = []
        places: dict[str, Path] = {}
        for folder in folders:
            rows = _read(folder / TABLE)
            for name in {crop.dataset for crop in rows}:
                if places.setdefault(name, folder) != folder:
                    raise CropsDamaged(
                        f"Two folders hold crops of {name}: {places[name]}, {folder}"
                    )
            crops += rows
        return cls(crops, places)

    def write(self, folder: Path) -> None:
        """Write the table, whole or not at all.

        Raises:
            DiskFull: there was no room.
        """
        columns = {
            field.name: [getattr(crop, field.name) for crop in self.crops] for field in fields(Crop)
        }
        part = folder / f"{TABLE}.part"
        with room_for(part):
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns, schema=_SCHEMA), part)
            part.rename(folder / TABLE)

    def __len__(self) -> int:
        return len(self.crops)

    @property
    def keys(self) -> list[str]:
        """The key of each row."""
        return [crop.key for crop in self.crops]

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Whether each row is manipulated."""
        return np.array([crop.manipulated for crop in self.crops], np.bool_)

    def path(self, crop: Crop) -> Path:
        """Where the picture of a crop lies."""
        return self.folders[crop.dataset] / crop.file

    def rows(self, keys: Iterable[str]) -> Self:
        """The rows of these keys.

        Raises:
            CropsMissing: a key has no row here.
        """
        known = {crop.key: crop for crop in self.crops}
        wanted = list(keys)
        missing = [key for key in wanted if key not in known]
        if missing:
            raise CropsMissing(
                f"{len(missing)} of {len(wanted)} crops are not in these folders, as {missing[0]}"
            )
        return type(self)((known[key] for key in wanted), self.folders)

    @property
    def fingerprint(self) -> str:
        """sha256 over what the crops are: equal for equal crops, wherever they lie."""
        digest = hashlib.sha256()
        for crop in self.crops:
            row = asdict(crop)
            digest.update(json.dumps([row[name] for name in _FINGERPRINTED]).encode() + b"\n")
        return digest.hexdigest()


def _read(path: Path) -> list[Crop]:
    try:
        # A file of our own making: no partitions are looked for beside it.
        table = pq.ParquetFile(path).read(columns=_SCHEMA.names)
    except FileNotFoundError as error:
        raise CropsMissing(f"{path.parent} has no {TABLE}") from error
    except (pa.ArrowException, OSError) as error:
        raise CropsDamaged(f"{path} cannot be read: {_first_line(error)}") from error
    if table.schema != _SCHEMA:
        raise CropsDamaged(f"{path} does not have the columns of a table of crops")
    return [_crop(row) for row in table.to_pylist()]


def _crop(row: dict[str, Any]) -> Crop:
    return Crop(**{**row, "identities": tuple(row["identities"])})


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
