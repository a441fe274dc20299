"""The journal: what became of each file of a data set, one line a file, in `OUT/journal`.

A line is written when all crops of its file are on the disk, so a run that is killed loses at
most the files that it had in hand. Each shard appends to a journal of its own, which it locks;
everybody reads all of them. A line that was cut in mid-write, or spoilt since, is no line.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from fimq.errors import PrepareRunning
from fimq.identifiers import new_id
from fimq_training.crops.table import Crop
from fimq_training.disk import room_for

FOLDER = "journal"
_RUN = "run"


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one file."""

    path: str  #: of the file, below the data set's root
    crops: tuple[Crop, ...] = ()
    samples: int = 0  #: frames that were looked at
    bad: str | None = None  #: code of what is wrong with it
    message: str | None = None  #: the same in words
    final: bool = True  #: whether another try would end the same way
    stamp: tuple[int, int] = (0, 0)  #: size and time of change of a bad file, to see it mended
    turn: int = 0  #: one more than that of the record that was known before; no clock tells


class Journal:
    """The journal of one shard, open for writing."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd, self._path = fd, path

    @classmethod
    @contextmanager
    def open(cls, out: Path, name: str) -> Iterator[Self]:
        """Lock a shard's journal and cut off what was not written to its end.

        Raises:
            PrepareRunning: another process has it.
            DiskFull: there is no room for it.
        """
        with room_for(out):
            (out / FOLDER).mkdir(parents=True, exist_ok=True)
            path = out / FOLDER / f"{name}.jsonl"
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PrepareRunning(f"Another process prepares shard {name} of {out}") from error
            os.ftruncate(fd, path.read_bytes().rfind(b"\n") + 1)
            yield cls(fd, path)
        finally:
            os.close(fd)

    def append(self, record: Record) -> None:
        """Write a record; its crops are on the disk already.

        Raises:
            DiskFull: there was no room; what was written before stays.
        """
        line = json.dumps(asdict(record), separators=(",", ":")).encode() + b"\n"
        with room_for(self._path):
            while line:
                line = line[os.write(self._fd, line) :]


def run_of(out: Path) -> str:
    """What names the run into this folder, for all shards and for ever.

    Raises:
        DiskFull: there is no room for it.
    """
    path = out / FOLDER / _RUN
    with room_for(path):
        if not path.exists():
            part = path.with_name(f"{_RUN}.{os.getpid()}.part")
            part.write_text(new_id(), encoding="ascii")
            # Another shard may have been first, and its word counts.
            with suppress(FileExistsError):
                os.link(part, path)
            part.unlink()
    return path.read_text(encoding="ascii")


def read(out: Path) -> dict[str, Record]:
    """What became of each file, over all shards: the last word on it.

    The last is the one of the latest turn, whatever shard said it; of two that shards said at
    once, a good one. A later bad one counts: whoever wrote it removed the crops of the good one.
    """
    records: dict[str, Record] = {}
    for path in sorted((out / FOLDER).glob("*.jsonl")):
        with path.open("rb") as lines:
            for line in lines:
                try:
                    record = _record(json.loads(line))
                except (ValueError, TypeError, KeyError):
                    continue  # its file is looked at again
                known = records.get(record.path)
                if known is None or _rank(record) >= _rank(known):
                    records[record.path] = record
    return records


def _rank(record: Record) -> tuple[int, bool]:
    return record.turn, not record.bad


def _record(fields: dict[str, Any]) -> Record:
    crops = tuple(
        Crop(**{**crop, "identities": tuple(crop["identities"])}) for crop in fields.pop("crops")
    )
    size, changed = fields.pop("stamp")
    return Record(**fields, crops=crops, stamp=(size, changed))
