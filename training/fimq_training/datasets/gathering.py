"""Gathering: the free pictures and clips that `fimq-default` is made from, file by file.

`faces.csv` beside this file lists them: folder, file, identities, the GitHub repository that has
the file, and the file's git object. The object is a sum of its content, so what is gathered is
what was trained on, whatever has become of the repository since. `catalogue` says what allows it.
"""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from fimq.errors import GitMissing
from fimq_training.disk import room_for

log = structlog.get_logger(__name__)

LISTED = Path(__file__).with_name("faces.csv")
COLUMNS = ("folder", "file", "identity_id", "repo", "blob")
GITHUB = "https://github.com"
MOST_AT_ONCE = 500  #: objects in one request


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of the list."""

    folder: str
    file: str
    identity_id: str  #: joined by ";"
    repo: str  #: owner/name
    blob: str  #: git object, SHA-1

    def lies_in(self, out: Path) -> Path:
        """Where the file belongs."""
        return out / self.folder / self.file


class Source(Protocol):
    """Where objects come from."""

    def read(self, repo: str, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the objects of a repository that there are, each with its content."""


def listed(path: Path = LISTED) -> list[Listed]:
    """The list, in its order."""
    with path.open(newline="", encoding="utf-8") as rows:
        return [Listed(**{name: row[name] for name in COLUMNS}) for row in csv.DictReader(rows)]


def gather(wanted: Iterable[Listed], out: Path, source: Source) -> Iterator[tuple[Listed, bool]]:
    """Lay files out below a folder; yields each with whether it is there now.

    What lies there already and is whole is kept.

    Raises:
        DiskFull: there was no room.
        GitMissing: there is no git to ask with.
    """
    of_repo: dict[str, list[Listed]] = {}
    for entry in wanted:
        if _is_whole(entry.lies_in(out), entry.blob):
            yield entry, True
        else:
            of_repo.setdefault(entry.repo, []).append(entry)
    for repo, entries in of_repo.items():
        missing = {entry.blob: [e for e in entries if e.blob == entry.blob] for entry in entries}
        for blob, content in source.read(repo, list(missing)):
            for entry in missing.pop(blob):
                _write(entry.lies_in(out), content)
                yield entry, True
        for entries_of_blob in missing.values():
            yield from ((entry, False) for entry in entries_of_blob)


def write_manifest(entries: Iterable[Listed], out: Path) -> None:
    """Write `manifest.csv` of what lies below a folder, as `catalogue` reads it."""
    path = out / "manifest.csv"
    with room_for(path):
        out.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as rows:
            writer = csv.writer(rows, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([getattr(entry, name) for name in COLUMNS] for entry in entries)


class GitHub:
    """Fetches objects alone, without the history round them."""

    def __init__(self, base: str = GITHUB) -> None:
        """`base`: what stands before owner/name in an address."""
        self._base = base

    def read(self, repo: str, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Fetch them in a repository that is thrown away.

        Raises:
            GitMissing: there is no git.
        """
        with tempfile.TemporaryDirectory(prefix="fimq-gather-") as name:
            git = Path(name)
            _git(git, "init", "--quiet", "--bare")
            for first in range(0, len(blobs), MOST_AT_ONCE):
                some = blobs[first : first + MOST_AT_ONCE]
                self._fetch(git, repo, some)
                yield from _objects(git, some)

    def _fetch(self, git: Path, repo: str, blobs: Sequence[str]) -> None:
        """Fetch what there is: one object that lacks spoils a request, so it is halved."""
        address = f"{self._base}/{repo}"
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1")
        try:
            _git(git, "fetch", *options, "--filter=blob:none", "--stdin", address, said=blobs)
        except _Failed as failed:
            if len(blobs) == 1 or not self._is_there(git, address):
                log.warning("not fetched", repo=repo, objects=len(blobs), said=str(failed)[-200:])
                return
            middle = len(blobs) // 2
            for half in (blobs[:middle], blobs[middle:]):
                self._fetch(git, repo, half)

    @staticmethod
    def _is_there(git: Path, address: str) -> bool:
        try:
            _git(git, "ls-remote", "--quiet", address, "HEAD")
        except _Failed:
            return False
        return True


class Mirror:
    """A folder of snapshots: OWNER+NAME/repo or OWNER/NAME, bare or with a work tree."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, repo: str, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Read them from the snapshot, where there is one.

        Raises:
            GitMissing: there is no git.
        """
        for base in (self._folder / repo.replace("/", "+") / "repo", self._folder / repo):
            for git in (base / ".git", base):
                if (git / "HEAD").exists():
                    yield from _objects(git, blobs)
                    return


def _objects(git: Path, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for blob in blobs:
        try:
            content = _git(git, "cat-file", "blob", blob)
        except _Failed:
            continue
        if _sum(content) == blob:
            yield blob, content


class _Failed(Exception):
    """What git said."""


def _git(folder: Path, *words: str, said: Sequence[str] = ()) -> bytes:
    program = shutil.which("git")
    if program is None:
        raise GitMissing
    done = subprocess.run(  # noqa: S603 - no shell; words of ours, repositories of our list
        [program, f"--git-dir={folder}", *words],
        input="\n".join(said).encode(),
        capture_output=True,
        check=False,
        # A repository that is gone would be asked for with a password.
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
    )
    if done.returncode:
        raise _Failed(done.stderr.decode(errors="replace").strip())
    return done.stdout


def _sum(content: bytes) -> str:
    """The name that git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _is_whole(path: Path, blob: str) -> bool:
    return path.is_file() and _sum(path.read_bytes()) == blob


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
        except OSError:
            part.unlink(missing_ok=True)
            raise
    part.replace(path)
