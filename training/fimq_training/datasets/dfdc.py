"""DFDC, the Deepfake Detection Challenge (Dolhansky et al., 2020).

Parts, each a folder with its videos and a `metadata.json` that maps a file's name to
`{"label": "REAL" | "FAKE", "split": "train", "original": NAME | null}`; one part may be the
root itself. Who is seen is not published: a fake and its original are kept together, by the
original's name. Videos may show two people, of whom one or both were swapped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fimq.errors import DatasetInvalid, DatasetMissing
from fimq_training.datasets.base import Item, Published, demand

METADATA = "metadata.json"


class DFDC(Published):
    """The videos of all parts below the root."""

    def items(self) -> list[Item]:
        """See `DataSet`."""
        parts = sorted(
            path.parent
            for depth in (METADATA, f"*/{METADATA}", f"*/*/{METADATA}")
            for path in self.root.glob(depth)
        )
        if not parts:
            raise DatasetMissing(f"{self.root} has no part with a {METADATA}")
        lacking = [
            f"{folder.relative_to(self.root).as_posix()}/{METADATA}"
            for folder in sorted(self.root.glob("dfdc_train_part_*"))
            if folder.is_dir() and not any(part.is_relative_to(folder) for part in parts)
        ]
        items = []
        for part in parts:
            there = {path.name for path in part.iterdir()}
            for item, name in self._part(part):
                if name in there:
                    items.append(item)
                else:
                    lacking.append(item.path)
        demand(lacking, self.root, partial=self.partial)
        return sorted(items, key=lambda item: item.path)

    def _part(self, part: Path) -> Iterator[tuple[Item, str]]:
        where = part.relative_to(self.root)
        entries = _metadata(part / METADATA)
        for name, facts in entries.items():
            fake = facts["label"] == "FAKE"
            original = facts.get("original") if fake else name
            item = Item(
                path=(where / name).as_posix(),
                collection="DFDC-fake" if fake else "DFDC-real",
                manipulated=fake,
                method="DFDC" if fake else None,
                target=original if fake else None,
                identities=(f"dfdc_{original}",) if original else (),
            )
            yield item, name


def _metadata(path: Path) -> dict[str, dict[str, Any]]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetInvalid(f"{path} is cut, or is not JSON") from error
    if not isinstance(entries, dict):
        raise DatasetInvalid(f"{path} does not map names to labels")
    for name, facts in entries.items():
        label = facts.get("label") if isinstance(facts, dict) else None
        if label not in {"REAL", "FAKE"} or "/" in name:
            raise DatasetInvalid(f"{path}: {name[:60]} is labelled {label!r}, not REAL or FAKE")
        original = entries.get(facts.get("original") or "")
        if original is not None and original.get("label") == "FAKE":
            raise DatasetInvalid(f"{path}: the original of {name} is labelled FAKE itself")
    return entries
