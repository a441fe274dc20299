"""A CSV manifest: files anywhere below ROOT, one a line, with what is known of each.

| column | |
| --- | --- |
| `file` | path below ROOT; required |
| `manipulated` | `0` or `1`, `false` or `true`, `real` or `fake`; required |
| `collection` | what it is one of; `method`, or `real` / `fake`, if left out |
| `method`, `source`, `target`, `compression` | as in the table of crops |
| `identities` | everyone who may be seen in it, joined by `;`: a split keeps them together |
| `alone` | `1`: only the largest face is its subject |

Columns of other names are refused: one that is misspelt would be lost in silence.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fimq.errors import DatasetInvalid, DatasetMissing
from fimq_training.datasets.base import Item, Option, demand

_REQUIRED = {"file", "manipulated"}
_COLUMNS = _REQUIRED | {
    *("collection", "method", "source", "target", "compression", "identities", "alone")
}
_WORDS = {"0": False, "1": True, "false": False, "true": True, "real": False, "fake": True}


@dataclass(frozen=True)
class ListedFiles:
    """The files that a manifest names."""

    root: Path
    manifest: Path | None = None  #: ROOT/manifest.csv if left out
    partial: bool = False  #: take what there is

    @property
    def options(self) -> Mapping[str, Option]:
        """See `DataSet`."""
        return {}

    def items(self) -> list[Item]:
        """See `DataSet`."""
        path = self.manifest or self.root / "manifest.csv"
        items: dict[str, Item] = {}
        try:
            with path.open(newline="", encoding="utf-8-sig") as lines:
                reader = csv.DictReader(lines, restkey="more", restval="")
                _check_columns(path, reader.fieldnames or ())
                for row in reader:
                    item = _item(f"{path}, line {reader.line_num}", row)
                    if items.setdefault(item.path, item) is not item:
                        raise DatasetInvalid(f"{path} names {item.path} twice")
        except FileNotFoundError as error:
            raise DatasetMissing(f"There is no {path}") from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise DatasetInvalid(f"{path} is not a CSV file in UTF-8") from error
        if not items:
            raise DatasetMissing(f"{path} names no files")
        lacking = sorted(name for name in items if not (self.root / name).exists())
        demand(lacking, self.root, partial=self.partial)
        return [items[name] for name in sorted(items.keys() - set(lacking))]


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if missing := _REQUIRED - set(columns):
        raise DatasetInvalid(f"{path} has no column {min(missing)}")
    if unknown := sorted(set(columns) - _COLUMNS):
        raise DatasetInvalid(f"{path} has a column {unknown[0]!r} that means nothing here")


def _item(where: str, row: dict[str, str]) -> Item:
    if "more" in row:
        raise DatasetInvalid(f"{where} has more fields than there are columns")
    name = PurePosixPath(row["file"])
    if not row["file"] or name.is_absolute() or ".." in name.parts:
        raise DatasetInvalid(f"{where}: {row['file']!r} is no path below the root")
    manipulated = _truth(where, row["manipulated"])
    method = row.get("method") or None
    if method is not None and not manipulated:
        raise DatasetInvalid(f"{where}: a real file with a method, {method}")
    return Item(
        path=name.as_posix(),
        collection=row.get("collection") or method or ("fake" if manipulated else "real"),
        manipulated=manipulated,
        method=method,
        source=row.get("source") or None,
        target=row.get("target") or None,
        identities=tuple(filter(None, row.get("identities", "").split(";"))),
        compression=row.get("compression") or None,
        alone=bool(row.get("alone")) and _truth(where, row["alone"]),
    )


def _truth(where: str, word: str) -> bool:
    truth = _WORDS.get(word.strip().lower())
    if truth is None:
        raise DatasetInvalid(f"{where}: {word!r} is neither 0 nor 1, false nor true, real nor fake")
    return truth
