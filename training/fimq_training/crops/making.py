"""Making: a data set becomes a folder of crops, file by file.

Files are dealt to shards by a hash of their paths, so that machines that see one folder share
the work without speaking to each other. Whoever ends last writes the table. The same command
goes on where it stopped; another one into the same folder is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import fimq
from fimq.errors import CropsDiffer
from fimq.store import filelock
from fimq_training.begun import begin
from fimq_training.crops import journal
from fimq_training.crops.extraction import Extraction
from fimq_training.crops.journal import Journal, Record
from fimq_training.crops.table import CropTable
from fimq_training.datasets.base import Item, Option
from fimq_training.disk import room_for

SUMMARY = "dataset.json"
_OPTIONS = "options.json"


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of the work."""

    number: int = 1  #: from 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}of{self.of}"

    def takes(self, path: str) -> bool:
        """Whether a file belongs to it."""
        digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8]) % self.of == self.number - 1


@dataclass(slots=True)
class Progress:
    """How far a shard is."""

    files: int  #: of this shard
    done: int = 0
    done_before: int = 0  #: of those, by earlier runs
    faces: int = 0
    bad: int = 0
    waits: str | None = None  #: why nothing moves, in words for a person

    def add(self, record: Record) -> None:
        """Count a file."""
        self.done += 1
        self.faces += len(record.crops)
        self.bad += record.bad is not None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The files have to wait, or do no longer."""

    why: str | None


class Cutters(Protocol):
    """Who cuts the files of a shard: `local` or `queued`."""

    def check(self) -> None:
        """Return if files can be cut at all.

        Raises:
            FimqError: why not.
        """
        ...

    def records(self, items: Sequence[Item]) -> Generator[Record | Waiting, None, None]:
        """A record of every file, in the order in which they come.

        When the next one is asked for, the one before is in the journal.

        Raises:
            FimqError: what is the fault of none of these files.
        """
        ...


class Making:
    """One shard of one data set, on its way into a folder."""

    def __init__(
        self,
        extraction: Extraction,
        items: Sequence[Item],
        options: Mapping[str, Option],
        *,
        shard: Shard,
        cutters: Cutters,
    ) -> None:
        """Begin nothing yet.

        Args:
            extraction: from where, into what, how.
            items: every file of the data set, those of other shards too.
            options: all that decides what the crops are; kept, and compared with those of
                earlier runs.
            shard: which part of the files is made here.
            cutters: who cuts.
        """
        self.extraction, self.items, self.options = extraction, items, options
        self.shard, self.cutters = shard, cutters

    def run(self) -> Generator[Progress, None, None]:
        """Make what is not made; yields at the start and after each file.

        Raises:
            CropsDiffer: the folder holds crops of other options.
            PrepareRunning: another process makes this shard.
            DiskFull: there was no room; what was made is kept.
            FimqError: whatever keeps all files from being cut; see the cutters.
        """
        out = self.extraction.out
        self.cutters.check()
        with Journal.open(out, str(self.shard)) as lines:
            self._agree(out)
            records = journal.read(out)
            mine = [item for item in self.items if self.shard.takes(item.path)]
            todo = []
            progress = Progress(len(mine))
            for item in mine:
                record = records.get(item.path)
                if record is None or not self.extraction.is_done(item, record):
                    todo.append(item)
                else:
                    progress.add(record)
            progress.done_before = progress.done
            yield progress
            with closing(self.cutters.records(todo)) as steps:
                for step in steps:
                    if isinstance(step, Waiting):
                        progress.waits = step.why
                    else:
                        before = records.get(step.path)
                        lines.append(replace(step, turn=before.turn + 1) if before else step)
                        progress.add(step)
                    yield progress

    def merge(self) -> dict[str, Any] | None:
        """Write the table and `dataset.json`, and give the latter; None while files are left.

        Raises:
            DiskFull: there was no room.
        """
        out = self.extraction.out
        with _alone(out), room_for(out):
            records = journal.read(out)
            if any(item.path not in records for item in self.items):
                return None
            mine = [records[item.path] for item in self.items]
            table = CropTable(crop for record in mine for crop in record.crops)
            table.write(out)
            summary = self._summary(mine, table)
            _write(out / SUMMARY, summary)
        return summary

    def left(self) -> int:
        """Files of all shards that have not been looked at."""
        records = journal.read(self.extraction.out)
        return sum(item.path not in records for item in self.items)

    def _agree(self, out: Path) -> None:
        """Be the first, or be as the first was."""
        with _alone(out):
            other = begin(out / journal.FOLDER / _OPTIONS, self.options)
        if other:
            raise CropsDiffer(
                f"{out} was made with {other.name} {_shown(other.was)}, not {_shown(other.now)}"
            )

    def _summary(self, records: Sequence[Record], table: CropTable) -> dict[str, Any]:
        collections: dict[str, Counter[str]] = {}
        for item, record in zip(self.items, records, strict=True):
            count = collections.setdefault(item.collection, Counter())
            count.update(
                files=1,
                bad=int(record.bad is not None),
                without_face=int(not record.bad and not record.crops),
                samples=record.samples,
                crops=len(record.crops),
            )
        readable = [record for record in records if not record.bad]
        with_face = sum(bool(record.crops) for record in readable)
        return {
            "format": 1,
            "options": dict(self.options),
            "made_by": {"fimq": fimq.__version__},
            "files": len(records),
            "crops": len(table),
            "collections": {name: dict(count) for name, count in sorted(collections.items())},
            "coverage": with_face / len(readable) if readable else 0.0,
            "without_face": [record.path for record in readable if not record.crops],
            "bad": [
                {"file": record.path, "code": record.bad, "message": record.message}
                for record in records
                if record.bad
            ],
            "fingerprint": table.fingerprint,
        }


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Write what all shards share, one after the other."""
    handle = filelock.take(out / journal.FOLDER / "lock")
    try:
        yield
    finally:
        os.close(handle)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.rename(path)


def _shown(value: Option) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none named"
    return "nothing" if value is None else str(value)
