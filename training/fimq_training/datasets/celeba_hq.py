"""CelebA-HQ (Karras et al., 2018) in the layout of CelebAMask-HQ (Lee et al., 2020).

    CelebA-HQ-img/0.jpg ... 29999.jpg
    CelebA-HQ-to-CelebA-mapping.txt     a header, then lines of IDX ORIG_IDX ORIG_FILE

The mapping names the picture of CelebA that each was made from; with `identity_CelebA.txt`
beside it, who that is. Without both nobody is known, and the same person may stand on two sides
of a split of CelebA and CelebA-HQ together: `--dry-run` says how many people are known.
"""

from __future__ import annotations

from pathlib import Path

from fimq.errors import DatasetInvalid
from fimq_training.datasets.base import STILLS, Item, Published, demand, names, place
from fimq_training.datasets.celeba import identities

MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"


class CelebAHQ(Published):
    """The pictures at 1024 x 1024; each shows one person."""

    def items(self) -> list[Item]:
        """See `DataSet`."""
        folder = place(self.root, "CelebA-HQ-img")
        found = names(folder, STILLS)
        originals = _mapping(self.root / MAPPING)
        there = {Path(name).stem for name in found}
        lacking = [f"CelebA-HQ-img/{name}.jpg" for name in originals if name not in there]
        demand(lacking, self.root, partial=self.partial)
        people = identities(self.root)
        items = []
        for name in found:
            person = people.get(originals.get(Path(name).stem, ""))
            items.append(
                Item(
                    f"CelebA-HQ-img/{name}",
                    "CelebA-HQ",
                    manipulated=False,
                    identities=(person,) if person else (),
                    alone=True,
                )
            )
        return items


def _mapping(path: Path) -> dict[str, str]:
    """The file of CelebA by the number of CelebA-HQ; empty where there is no mapping."""
    if not path.is_file():
        return {}
    originals: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 3 or not fields[0].isdecimal():
            raise DatasetInvalid(
                f"{path} has a line that is not IDX ORIG_IDX ORIG_FILE: {line[:60]!r}"
            )
        originals[fields[0]] = fields[2]
    return originals
