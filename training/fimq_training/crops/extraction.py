"""Extraction: the faces of one file, as the worker would have cut them for its classifier.

The file is opened here and decoded in the worker's sandboxed child, which samples, finds, and
cuts by the served rule; what comes back are numbers and crops. Stills go the same way: to the
child a picture is a film of one frame.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2

from fimq.errors import (
    AnalysisError,
    EmptyFile,
    FimqError,
    InputError,
    NotAFile,
    NotFound,
    NotReadable,
)
from fimq_training.crops.journal import Record, room_for
from fimq_training.crops.table import Crop
from fimq_training.datasets.base import Item
from fimq_worker.child.client import DecodeChild
from fimq_worker.child.protocol import (
    AnalyseRequest,
    FaceReply,
    PlanReply,
    PlanRequest,
    SampleReply,
)
from fimq_worker.vision.crops import CropRule
from fimq_worker.vision.sampler.base import Sampling

#: Where crops lie below the folder.
FACES = "faces"


@dataclass(frozen=True, slots=True)
class Way:
    """How crops are made: with another one they are other crops."""

    every: int = 25  #: frames from one sample to the next
    frames: int | None = None  #: instead: at most so many of a video, evenly spread
    size: int = 128  #: side of a crop in pixels
    largest: bool | None = None  #: only the largest face; None: of files that show one person

    def sampling(self, frames: int) -> str:
        """Of a video with so many frames."""
        stride = self.every if self.frames is None else max(1, -(-frames // self.frames))
        return str(Sampling("every", stride))

    def faces(self, sample: SampleReply, item: Item) -> Iterator[tuple[int, FaceReply]]:
        """The faces of a sample that become crops, by their number; the largest comes first."""
        alone = item.alone if self.largest is None else self.largest
        for ordinal, face in enumerate(sample.faces[:1] if alone else sample.faces):
            if face.crop is not None:
                yield ordinal, face


@dataclass(frozen=True, slots=True)
class Extraction:
    """From one data set into one folder."""

    dataset: str
    root: Path
    out: Path
    way: Way
    tries: int = 3  #: of a file at which the decoder died
    segment_s: float = 60  #: a long video is asked for in parts, each with its own patience

    def record(self, item: Item, child: DecodeChild) -> Record:
        """Cut the faces of a file; one that cannot be read is a record, too.

        Raises:
            DiskFull: there was no room for a crop.
            Cancelled: another thread stopped the child.
        """
        for tries_left in reversed(range(self.tries)):
            try:
                return self._good(item, child)
            except (InputError, AnalysisError) as error:
                if error.final or not tries_left:
                    return self._bad(item, error)
        raise AssertionError(self.tries)

    def is_done(self, item: Item, record: Record | None) -> bool:
        """Whether a record of a file is the last word on it.

        Not if a crop has gone, if a bad file has changed since, or if its decoder died.
        """
        if record is None:
            return False
        if record.bad:
            return record.final and record.stamp == self._stamp(item)
        return all((self.out / crop.file).is_file() for crop in record.crops)

    def _good(self, item: Item, child: DecodeChild) -> Record:
        with self._opened(item) as fd:
            plan = child.plan(fd, PlanRequest(min_samples=1, segment_s=self.segment_s))
            sampling = self.way.sampling(plan.frames)
            crops: list[Crop] = []
            samples = 0
            for span in plan.spans:
                request = AnalyseRequest(
                    span, sampling, crop_scale=CropRule().scale, crop_size=self.way.size
                )
                for sample in child.analyse(fd, request):
                    samples += 1
                    crops += self._crops(item, plan, sample)
        return Record(item.path, tuple(crops), samples)

    def _crops(self, item: Item, plan: PlanReply, sample: SampleReply) -> Iterator[Crop]:
        still = bool(plan.probe["still"])
        codec = str(plan.probe["codec"])
        for ordinal, face in self.way.faces(sample, item):
            file = f"{FACES}/{item.path}/{sample.frame_index:06d}-{ordinal}.png"
            x, y, width, height = face.box
            yield Crop(
                dataset=self.dataset,
                collection=item.collection,
                video=item.path,
                frame=sample.frame_index,
                ordinal=ordinal,
                pts=None if still else sample.pts,
                time_s=None if still else sample.time_s,
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
                codec="jpeg" if still and codec == "mjpeg" else codec,
                compression=item.compression,
                size=self.way.size,
                file=file,
                sha256=self._write(file, face),
            )

    def _write(self, file: str, face: FaceReply) -> str:
        if face.crop is None:
            raise AssertionError(file)
        code = cv2.imencode(".png", face.crop[:, :, ::-1])[1].tobytes()
        path = self.out / file
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(code)
        return hashlib.sha256(code).hexdigest()

    def _bad(self, item: Item, error: FimqError) -> Record:
        # Those of its first part may lie there, and belong to no row.
        shutil.rmtree(self.out / FACES / item.path, ignore_errors=True)
        return Record(
            item.path,
            bad=error.code,
            message=error.message,
            final=error.final,
            stamp=self._stamp(item),
        )

    def _stamp(self, item: Item) -> tuple[int, int]:
        try:
            facts = (self.root / item.path).stat()
        except OSError:
            return 0, 0
        return facts.st_size, facts.st_mtime_ns

    @contextmanager
    def _opened(self, item: Item) -> Iterator[int]:
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
