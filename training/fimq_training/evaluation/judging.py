"""Judging: the videos of an evaluation through the whole pipeline, by the program itself.

`fimq submit` and `fimq watch` are run as a user runs them, so every service works, embedded or
not, and what is measured is what is served. Which job judges which file is kept in
`OUT/jobs.jsonl`, every document in `OUT/documents.jsonl` as it comes: stopped or killed, the
same command goes on. A file that has changed since is judged again.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from fimq.errors import (
    DocumentsInvalid,
    EvaluationDiffers,
    EvaluationRunning,
    FimqError,
    JobNotFound,
    JudgingFailed,
)
from fimq.intake import shown
from fimq_training.disk import room_for
from fimq_training.evaluation.served import Document

JOBS, DOCUMENTS, REPORT = "jobs.jsonl", "documents.jsonl", "report.json"
_SUBMITTED = 32  #: files of one `fimq submit`
_WATCHED = 8  #: jobs of one `fimq watch`: as many are in hand when it is killed
_ERROR = re.compile(r"^error: (.*)  \[(\w+)\]$", re.MULTILINE)
Stamp = tuple[int, int]  #: size and time of change of a file, to see that it is another


@dataclass(frozen=True, slots=True)
class Request:
    """How videos are to be judged."""

    model: str | None  #: the promoted one if None
    lane: str
    rescan: bool
    in_place: bool

    @property
    def options(self) -> list[str]:
        """As `fimq submit` takes them."""
        return [
            *("--lane", self.lane),
            *(("--model", self.model) if self.model else ()),
            *(("--rescan",) if self.rescan else ()),
            *(("--in-place",) if self.in_place else ()),
        ]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    submitted: int
    judged: int  #: documents that are here, of refused files too
    failed: int  #: of those
    before: int  #: documents that were here when this run began
    files: int


class Judging:
    """One evaluation's folder, locked; see `open`."""

    def __init__(
        self, root: Path, jobs: Lines, request: Request, tell: Callable[[str], None]
    ) -> None:
        self._root, self._request = root, request
        self._jobs, self._documents = jobs, Lines(jobs.path.with_name(DOCUMENTS))
        self._told: set[str] = set()
        self._tell_person = tell
        #: The stamp and the job of each file, or its refusal.
        self._known: dict[str, tuple[Stamp, str | None, Document | None]] = {}
        self._by_job: dict[str, Document] = {}

    @classmethod
    @contextmanager
    def open(
        cls, root: Path, out: Path, request: Request, tell: Callable[[str], None]
    ) -> Iterator[Self]:
        """Take up an evaluation into `out`, or begin one.

        With `rescan`, one whose report was written is begun anew.

        Args:
            root: the folder of videos.
            out: where jobs and documents are kept.
            request: how to judge.
            tell: shows a person a line that the program says.

        Raises:
            EvaluationRunning: another process has the folder.
            EvaluationDiffers: it is one of another model.
            DiskFull: there is no room.
        """
        with room_for(out):
            out.mkdir(parents=True, exist_ok=True)
            jobs = Lines(out / JOBS)
        with jobs.locked():
            if request.rescan and (out / REPORT).exists():
                jobs.clear()
                Lines(out / DOCUMENTS).clear()
                (out / REPORT).unlink()
            made = cls(root, jobs, request, tell)
            made._take_up()
            yield made

    def run(self, files: Sequence[str]) -> Iterator[Progress]:
        """Judge every file that has no document yet, first to last.

        Raises:
            JudgingFailed: the program ended otherwise than it promises.
            FimqError: whatever stops `fimq submit` or `fimq watch` as a whole.
        """
        for file in files:
            self._forget_if_changed(file)
        before = len(self.documents(files))
        yield self._progress(files, before)
        for some in _groups([file for file in files if file not in self._known], _SUBMITTED):
            self._submit(some)
            yield self._progress(files, before)
        for some in _groups([file for file in files if self._document(file) is None], _WATCHED):
            self._watch(some)
            yield self._progress(files, before)

    def documents(self, files: Sequence[str]) -> dict[str, Document]:
        """The document of each file that has one."""
        found = {file: self._document(file) for file in files}
        return {file: document for file, document in found.items() if document is not None}

    def _take_up(self) -> None:
        asked = {"model": self._request.model}
        lines = self._jobs.read()
        if not lines:
            self._jobs.append(asked)
        elif lines[0] != asked:
            was = lines[0].get("model") or "the promoted one"
            raise EvaluationDiffers(f"{self._jobs.path.parent} was begun with the model {was}")
        for line in lines[1:]:
            stamp = (line["bytes"], line["changed_ns"])
            self._known[line["file"]] = (stamp, line["job_id"], line["refusal"])
        for document in self._documents.read():
            if "job_id" in document:
                self._by_job[document["job_id"]] = document

    def _forget_if_changed(self, file: str) -> None:
        """A file that is another now, or whose job was cancelled, is judged again."""
        document = self._document(file)
        cancelled = document is not None and document["state"] == "cancelled"
        if file in self._known and (cancelled or self._known[file][0] != self._stamp(file)):
            del self._known[file]

    def _document(self, file: str) -> Document | None:
        _, job_id, refusal = self._known.get(file, (None, None, None))
        return refusal if job_id is None else self._by_job.get(job_id)

    def _stamp(self, file: str) -> Stamp:
        try:
            facts = (self._root / file).stat()
        except OSError:
            return (0, 0)  # refused, by its own code
        return (facts.st_size, facts.st_mtime_ns)

    def _progress(self, files: Sequence[str], before: int) -> Progress:
        documents = self.documents(files).values()
        failed = sum(document["state"] in {"failed", "refused"} for document in documents)
        submitted = sum(file in self._known for file in files)
        return Progress(submitted, len(documents), failed, before, len(files))

    def _submit(self, files: Sequence[str]) -> None:
        """Submit files; of one name only one at a time, because documents tell names alone."""
        while files:
            names: dict[str, str] = {}
            for file in files:
                names.setdefault(shown(PurePosixPath(file).name), file)
            files = [file for file in files if file not in names.values()]
            self._submit_named(names)

    def _submit_named(self, names: dict[str, str]) -> None:
        stamps = {file: self._stamp(file) for file in names.values()}
        paths = [str(self._root / file) for file in names.values()]
        ran = _fimq("submit", *self._request.options, "--", *paths, tell=self._tell)
        for document in ran.documents:
            file = names.pop(document["name"])
            refused = document["state"] == "refused"
            if refused or document["state"] == "done":
                self._keep(document)
            size, changed = stamps[file]
            job, refusal = document.get("job_id"), document if refused else None
            line = {"file": file, "bytes": size, "changed_ns": changed}
            self._jobs.append(line | {"job_id": job, "refusal": refusal})
            self._known[file] = (stamps[file], job, refusal)
        # 2 is a file that was refused, which has its document.
        if names or ran.status not in {0, 2}:
            raise ran.error

    def _watch(self, files: Sequence[str], *, again: bool = False) -> None:
        jobs = {self._known[file][1]: file for file in files if self._document(file) is None}
        if not jobs:
            return
        ran = _fimq("watch", *filter(None, jobs), tell=self._tell)
        for document in ran.documents:
            self._keep(document)
        # 3 is a job that failed, which has its document.
        if ran.status not in {0, 3}:
            if again or not isinstance(ran.error, JobNotFound):
                raise ran.error
            # Another ledger, or somebody deleted them: what is known there costs nothing.
            self._submit(files)
            self._watch(files, again=True)

    def _tell(self, line: str) -> None:
        """Once: every group of jobs says the same."""
        if line and line not in self._told:
            self._told.add(line)
            self._tell_person(line)

    def _keep(self, document: Document) -> None:
        self._documents.append(document)
        if "job_id" in document:
            self._by_job[document["job_id"]] = document


class Lines:
    """A file of JSON lines that is only appended to; a line cut in mid-write is no line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """Every whole line. What comes after the last one is cut off.

        Raises:
            DocumentsInvalid: a line is damaged otherwise.
        """
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)
        try:
            return [json.loads(line) for line in content[:whole].splitlines()]
        except ValueError as error:
            raise DocumentsInvalid(f"{self.path} is damaged") from error

    def append(self, line: dict[str, Any]) -> None:
        """Write a line.

        Raises:
            DiskFull: there was no room.
        """
        with room_for(self.path), self.path.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")

    def clear(self) -> None:
        """Forget every line."""
        if self.path.exists():
            os.truncate(self.path, 0)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the file alone.

        Raises:
            EvaluationRunning: another process holds it.
        """
        with self.path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                folder = self.path.parent
                raise EvaluationRunning(f"Another process evaluates into {folder}") from error
            yield


@dataclass(frozen=True, slots=True)
class _Ran:
    """A run of the program that has ended."""

    command: str
    status: int
    documents: list[Document]
    said: str  #: on stderr

    @property
    def error(self) -> FimqError:
        """What the program said, as the error that it was."""
        found = _ERROR.search(self.said)
        known = FimqError.registry.get(found[2]) if found else None
        if found and known:
            return known(found[1])
        last = "".join(f": {line}" for line in self.said.strip().splitlines()[-1:])
        return JudgingFailed(f"fimq {self.command} ended with {self.status}{last}")


def _fimq(command: str, *arguments: str, tell: Callable[[str], None]) -> _Ran:
    """Run the program to its end; what it says meanwhile, as that nobody works, is told."""
    hidden = ("FIMQ_SUBMIT_", "FIMQ_WATCH_")  # options that a person set for other uses
    with (
        subprocess.Popen(  # noqa: S603 - our own program, no shell
            [sys.executable, "-m", "fimq_api", command, "--json", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: v for name, v in os.environ.items() if not name.startswith(hidden)},
        ) as process,
        ThreadPoolExecutor(1) as reader,
    ):
        assert process.stdout is not None  # noqa: S101 - a pipe, as asked for
        assert process.stderr is not None  # noqa: S101
        printed = reader.submit(process.stdout.read)
        said = []
        for line in process.stderr:
            said.append(line)
            if not line.startswith(("error: ", "  ")):
                tell(line.rstrip())
        documents = []
        for line in printed.result().splitlines():
            try:
                documents.append(json.loads(line))
            except ValueError as error:
                raise JudgingFailed(f"fimq {command} printed no document: {line[:80]}") from error
    return _Ran(command, process.returncode, documents, "".join(said))


def _groups(files: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(files), size):
        yield files[start : start + size]
