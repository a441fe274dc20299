"""CelebA (Liu et al., 2015): some 203,000 stills of 10,177 people.

Its published layout, with or without the folders `Img` and `Anno`:

    img_align_celeba/000001.jpg ...
    identity_CelebA.txt             lines of FILE IDENTITY
"""

from __future__ import annotations

from pathlib import Path

from fimq.errors import DatasetInvalid
from fimq_training.datasets.base import STILLS, Item, Published, demand, names, place

IDENTITIES = "identity_CelebA.txt"


class CelebA(Published):
    """The aligned pictures; each shows one person."""

    def items(self) -> list[Item]:
        """See `DataSet`."""
        folder = place(self.root, "img_align_celeba", "Img/img_align_celeba")
        found = names(folder, STILLS)
        people = identities(self.root)
        where = folder.relative_to(self.root).as_posix()
        if people:
            lacking = [f"{where}/{name}" for name in sorted(people.keys() - set(found))]
        else:
            lacking = [IDENTITIES]
        demand(lacking, self.root, partial=self.partial)
        return [
            Item(f"{where}/{name}", "CelebA", manipulated=False, identities=known, alone=True)
            for name in found
            for known in [(people[name],) if name in people else ()]
        ]


def identities(root: Path) -> dict[str, str]:
    """Who is in each picture, by its file name; empty where there is no such list.

    The names carry `celeba_`, so that CelebA and CelebA-HQ name one person alike, and nobody
    else's.

    Raises:
        DatasetInvalid: the list is something else.
    """
    lists = [root / IDENTITIES, root / "Anno" / IDENTITIES]
    path = next((path for path in lists if path.is_file()), None)
    if path is None:
        return {}
    people: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2 or not fields[1].isdecimal():
            raise DatasetInvalid(f"{path} has a line that is not FILE IDENTITY: {line[:60]!r}")
        people[fields[0]] = f"celeba_{fields[1]}"
    return people
