"""A split: for every crop that is used, the side it stands on.

A file of its own beside the crops (`splits/NAME.parquet`), so that several splits of one data
set live side by side and a figure can name the one that it was measured with. Crops that stand
on no side are not used. How sides are chosen is the business of the other rooms here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from fimq.errors import SplitDamaged, SplitMissing, UsageError
from fimq_training.crops.table import CropTable
from fimq_training.disk import room_for


class Side(StrEnum):
    """What a crop is used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Split:
    """Sides by the keys of crops, and how they came about."""

    name: str
    sides: Mapping[str, Side]
    rule: str = ""  #: how sides were chosen, in words
    facts: Mapping[str, str] = field(default_factory=dict)  #: seed, fingerprint, what it leaks

    @property
    def fingerprint(self) -> str:
        """sha256 over who stands where."""
        lines = sorted(f"{key} {side}" for key, side in self.sides.items())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def keys(self, side: Side) -> list[str]:
        """The keys of one side, sorted."""
        return sorted(key for key, its in self.sides.items() if its is side)

    def write(self, path: Path) -> None:
        """Write the split, whole or not at all.

        Raises:
            DiskFull: there was no room.
        """
        keys = sorted(self.sides)
        table = pa.table(
            {"key": keys, "side": [self.sides[key].value for key in keys]}
        ).replace_schema_metadata({"name": self.name, "rule": self.rule, **self.facts})
        part = path.with_name(f"{path.name}.part")
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, part)
            part.rename(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a split.

        Raises:
            SplitMissing: there is no such file.
            SplitDamaged: it cannot be read, or names a side that there is not.
        """
        try:
            table = pq.ParquetFile(path).read(columns=["key", "side"])
            pairs: Iterable[tuple[str, str]] = zip(
                table["key"].to_pylist(), table["side"].to_pylist(), strict=True
            )
            sides = {key: Side(side) for key, side in pairs}
        except FileNotFoundError as error:
            raise SplitMissing(f"There is no split {path}") from error
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise SplitDamaged(f"The split {path} cannot be read") from error
        facts: dict[str, Any] = {
            key.decode(): value.decode()
            for key, value in (table.schema.metadata or {}).items()
            if not key.startswith(b"ARROW:")
        }
        return cls(facts.pop("name", path.stem), sides, facts.pop("rule", ""), facts)


def find_split(name: str, table: CropTable) -> Path:
    """The file of a split: a path, or a name below `splits/` of one of the folders.

    Raises:
        SplitMissing: there is none of this name.
        UsageError: two folders have one.
    """
    if Path(name).suffix == ".parquet":
        return Path(name)
    places = [folder / "splits" / f"{name}.parquet" for folder in table.folders.values()]
    found = [place for place in dict.fromkeys(places) if place.is_file()]
    if not found:
        raise SplitMissing(f"None of the folders has a split {name}")
    if len(found) > 1:
        raise UsageError(f"two folders have a split {name}: give the path of one, as {found[0]}")
    return found[0]
