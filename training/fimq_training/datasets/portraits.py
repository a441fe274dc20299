"""Portraits: our own pictures and clips of real people, free to use (`catalogue` has whose).

    manifest.csv                        columns folder, file, identity_id
    portraits/SOURCE/*  videos/SOURCE/*

Every file is real. `identity_id` may name several people, joined by `;`.
"""

from __future__ import annotations

from fimq.errors import DatasetInvalid, DatasetMissing
from fimq_training.datasets.base import Item, Published, demand
from fimq_training.datasets.catalogue import Catalogue


class Portraits(Published):
    """The files whose licence the catalogue knows."""

    def items(self) -> list[Item]:
        """See `DataSet`."""
        try:
            entries = Catalogue.read(self.root).entries
        except FileNotFoundError as error:
            raise DatasetMissing(f"{self.root} has no manifest.csv") from error
        except (KeyError, AttributeError, UnicodeDecodeError) as error:
            raise DatasetInvalid(
                f"{self.root / 'manifest.csv'} does not have folder, file and identity_id"
            ) from error
        if not entries:
            raise DatasetMissing(f"{self.root / 'manifest.csv'} names no folder that is known here")
        items = [
            Item(
                path=entry.path.relative_to(self.root).as_posix(),
                collection=entry.folder.partition("/")[2],
                manipulated=False,
                identities=entry.people,
                alone=len(entry.people) == 1,
            )
            for entry in entries
        ]
        lacking = [item.path for item in items if not (self.root / item.path).exists()]
        demand(lacking, self.root, partial=self.partial)
        return sorted(
            (item for item in items if item.path not in set(lacking)), key=lambda item: item.path
        )
