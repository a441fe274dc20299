"""Extraction: a file of the data set becomes crops in a folder, and one record of them.

Who cuts it is `local`'s or `queued`'s to say: both bring what the worker's own room makes, and
here it is written down, in one way. A file is opened here and never read: its bytes are for
the sandboxed child.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fimq.cuts import Cut
from fimq.errors import EmptyFile, FimqError, NotAFile, NotFound, NotReadable
from fimq_training.crops.journal import Record
from fimq_training.crops.table import Crop
from fimq_training.datasets.base import Item
from fimq_training.disk import room_for
from fimq_worker.cutting import Cuts, CutSample

#: Where crops lie below the folder.
FACES = "faces"


@dataclass(frozen=True, slots=True)
class Extraction:
    """From one data set into one folder."""

    dataset: str
    root: Path
    out: Path
    cut: Cut
    largest: bool | None = None  #: only the largest face; None: of files that show one person

    def cut_of(self, item: Item) -> Cut:
        """How a file is cut."""
        alone = item.alone if self.largest is None else self.largest
        return replace(self.cut, largest=alone)

    def is_done(self, item: Item, record: Record | None) -> bool:
        """Whether a record of a file is the last word on it.

        Not if a crop has gone, if a bad file has changed since, or if its decoder died.
        """
        if record is None:
            return False
        if record.bad:
            return record.final and record.stamp == self._stamp(item)
        return all((self.out / crop.file).is_file() for crop in record.crops)

    def kept(self, item: Item, cuts: Cuts) -> Record:
        """Write the crops of a file.

        Raises:
            DiskFull: there was no room for a crop.
            FimqError: whatever going through the samples raises.
        """
        crops: list[Crop] = []
        samples = 0
        for sample in cuts.samples:
            samples += 1
            crops += self._crops(item, cuts, sample)
        return Record(item.path, tuple(crops), samples)

    def bad(self, item: Item, error: FimqError, *, final: bool | None = None) -> Record:
        """What is wrong with a file; `final` where the error's own word does not hold here."""
        # Those of its first part may lie there, and belong to no row.
        shutil.rmtree(self.out / FACES / item.path, ignore_errors=True)
        return Record(
            item.path,
            bad=error.code,
            message=error.message,
            final=error.final if final is None else final,
            stamp=self._stamp(item),
        )

    @contextmanager
    def opened(self, item: Item) -> Iterator[int]:
        """A file as a descriptor.

        Raises:
            NotReadable, NotFound, NotAFile, EmptyFile: it cannot be had.
        """
        path = self.root / item.path
        try:
            item.path.encode()
        except UnicodeEncodeError as error:
            raise NotReadable("Its name is not UTF-8; rename it") from error
        try:
            # A FIFO of that name must not hang us.
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound from error
        except OSError as error:
            raise NotReadable from error
        try:
            facts = os.fstat(fd)
            if not stat.S_ISREG(facts.st_mode):
                raise NotAFile
            if facts.st_size == 0:
                raise EmptyFile
            yield fd
        finally:
            os.close(fd)

    def _crops(self, item: Item, cuts: Cuts, sample: CutSample) -> Iterator[Crop]:
        for face in sample.faces:
            file = f"{FACES}/{item.path}/{sample.frame:06d}-{face.ordinal}.png"
            x, y, width, height = face.box
            yield Crop(
                dataset=self.dataset,
                collection=item.collection,
                video=item.path,
                frame=sample.frame,
                ordinal=face.ordinal,
                pts=None if cuts.still else sample.pts,
                time_s=None if cuts.still else sample.time_s,
                x=x,
                y=y,
                width=width,
                height=height,
                detector_score=face.detector_score,
                manipulated=item.manipulated,
                method=item.method,
                source=item.source,
                target=item.target,
                identities=item.identities,
                codec="jpeg" if cuts.still and cuts.codec == "mjpeg" else cuts.codec,
                compression=item.compression,
                size=self.cut.size,
                file=file,
                sha256=self._write(file, face.png),
            )

    def _write(self, file: str, png: bytes) -> str:
        path = self.out / file
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png)
        return hashlib.sha256(png).hexdigest()

    def _stamp(self, item: Item) -> tuple[int, int]:
        try:
            facts = (self.root / item.path).stat()
        except OSError:
            return 0, 0
        return facts.st_size, facts.st_mtime_ns
