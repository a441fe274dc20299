"""Celeb-DF v2 (Li et al., 2020): 590 + 300 real videos, 5,639 fakes of the 590.

Celeb-real/id0_0000.mp4             PERSON_NUMBER
Celeb-synthesis/id0_id1_0000.mp4    TARGET_SOURCE_NUMBER: made on Celeb-real/id0_0000.mp4
YouTube-real/00000.mp4
List_of_testing_videos.txt          lines of LABEL PATH; 1 is real, 0 is fake
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fimq.errors import DatasetInvalid, DatasetMissing
from fimq_training.datasets.base import VIDEOS, Item, Published, demand, names

FOLDERS = ("Celeb-real", "Celeb-synthesis", "YouTube-real")
TESTING = "List_of_testing_videos.txt"

_REAL = re.compile(r"(id\d+)_(\d+)\.mp4")
_FAKE = re.compile(r"(id\d+)_(id\d+)_(\d+)\.mp4")


class CelebDF(Published):
    """All videos; each has one person as its subject."""

    def items(self) -> list[Item]:
        """See `DataSet`."""
        found = {folder: names(self.root / folder, VIDEOS) for folder in FOLDERS}
        if not any(found.values()):
            raise DatasetMissing(f"{self.root} has no videos in {', '.join(FOLDERS)}")
        items = [_item(folder, name) for folder in sorted(FOLDERS) for name in found[folder]]
        lacking = [folder for folder in FOLDERS if not found[folder]]
        lacking += sorted(
            {
                f"Celeb-real/{item.target}.mp4"
                for item in items
                if item.target is not None and f"{item.target}.mp4" not in found["Celeb-real"]
            }
        )
        lacking += self._lacking_of_tests({item.path: item.manipulated for item in items})
        demand(lacking, self.root, partial=self.partial)
        return items

    def _lacking_of_tests(self, labels: Mapping[str, bool]) -> list[str]:
        path = self.root / TESTING
        if not path.is_file():
            return [TESTING]
        lacking = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            label, _, name = line.strip().partition(" ")
            if not label:
                continue
            if name not in labels:
                lacking.append(name)
            elif label not in {"0", "1"} or labels[name] == (label == "1"):
                raise DatasetInvalid(f"{TESTING} calls {name} {label}, its folder says otherwise")
        return lacking


def _item(folder: str, name: str) -> Item:
    path = f"{folder}/{name}"
    if folder == "YouTube-real":
        return Item(path, folder, manipulated=False, alone=True)
    parts = (_FAKE if folder == "Celeb-synthesis" else _REAL).fullmatch(name)
    if parts is None:
        raise DatasetInvalid(f"{path} is not named as Celeb-DF names files")
    if folder == "Celeb-real":
        return Item(
            path, folder, manipulated=False, identities=(f"celebdf_{parts[1]}",), alone=True
        )
    return Item(
        path,
        folder,
        manipulated=True,
        method="Celeb-DF",
        source=parts[2],
        target=f"{parts[1]}_{parts[3]}",
        identities=(f"celebdf_{parts[1]}", f"celebdf_{parts[2]}"),
        alone=True,
    )
