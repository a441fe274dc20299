"""The cache: objects of a store elsewhere, kept on this machine while they are used.

A long video is opened once a segment, by several slots and workers; here it is fetched once
a machine. Content is named by its hash and checked before it gets its name, so that what
lies here is right or is fetched again. The folder stays under its bound by dropping what was
not used for longest; only what is open right now can take it over. All workers of a machine
and a user share one folder, which has to be on a local disk.

    <sha256>        the bytes
    <sha256>.part   the bytes while they come; locked by who fetches them
    <sha256>.lock   shared by who uses them, or waits for them; its time is the last use
    lock            held while the folder is measured and room is made
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import structlog

from fimq.errors import CacheUnusable
from fimq.store.base import LEFTOVER_SECONDS, Check, Store, Stored, go_on
from fimq.store.content import Hashes, in_place_path, twice, write
from fimq.store.filelock import take, take_if_free

_PART, _LOCK = ".part", ".lock"
#: A copy that nobody opened for so long is dropped, also where there is room: what was
#: deleted from the store by another machine must not lie here for ever.
KEPT_SECONDS = 24 * 3600

log = structlog.get_logger(__name__)


class RemoteStore(Store, Protocol):
    """A store whose objects have to be copied to be read."""

    @property
    def shown(self) -> str:
        """The store's URL, without secrets."""
        ...

    def size(self, key: str, sha256: str) -> int:
        """The bytes of an object; raises as `Store.open`."""
        ...

    def read(self, key: str, sha256: str, size: int) -> Iterator[bytes]:
        """The bytes of an object; raises as `Store.open`, `StoreChanged` at the end."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """Files of one content here."""

    sha256: str
    bytes: int
    used_at: float
    left: bool  #: has a part: it comes right now, or was left by a process that was killed


class CachedStore:
    """A store elsewhere, read through a folder on this machine."""

    def __init__(self, remote: RemoteStore, folder: Path, bound: int) -> None:
        """Keep what is given; the folder is made when first needed.

        Args:
            remote: where the objects are.
            folder: where their copies are kept.
            bound: bytes that all copies may take together.
        """
        self.remote = remote
        self.folder = folder
        self.bound = bound
        self._hashes = Hashes()

    def find(self) -> None:
        """Look for the store elsewhere; see `Store.find`."""
        self.remote.find()

    def put(self, source: BinaryIO, *, limit: int) -> Stored:
        """Copy a stream into the store elsewhere; see `Store.put`."""
        return self.remote.put(source, limit=limit)

    def adopt(self, path: Path, *, limit: int) -> Stored:
        """Refer to a file where it lies; see `Store.adopt`."""
        return self.remote.adopt(path, limit=limit)

    def has(self, key: str) -> bool:
        """Whether the store elsewhere has it; see `Store.has`."""
        return self.remote.has(key)

    @contextmanager
    def open(self, key: str, sha256: str, *, check: Check = go_on) -> Iterator[BinaryIO]:
        """The copy on this machine, fetched if it is not here; see `Store.open`.

        Raises:
            CacheUnusable: there is no room on the disk, or no right to the folder.
        """
        if in_place_path(key) is not None:
            with self.remote.open(key, sha256) as source:
                yield source
            return
        with self._usable():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Who holds this is using the copy, or waits for it: nobody drops it.
            using = take(self._path(sha256 + _LOCK), shared=True)
        try:
            with self._usable():
                os.utime(using)
            with self._known(sha256) or self._brought(key, sha256, check) as source:
                yield source
        finally:
            os.close(using)
            try:
                self._trim()
            except CacheUnusable as error:
                # What the reader did is done; the next who needs room will say it again.
                log.warning("cache not trimmed", error=error.message)

    def delete(self, key: str) -> None:
        """Remove an object there, and its copy here; see `Store.delete`."""
        self.remote.delete(key)
        if in_place_path(key) is not None:
            return
        try:
            with self._usable():
                self._path(key.rpartition("/")[2]).unlink(missing_ok=True)
        except CacheUnusable as error:
            # The object is gone, and who asked must hear so; the copy goes by its age.
            log.warning("copy not removed", error=error.message)

    def tidy(self, *, older_s: float = LEFTOVER_SECONDS) -> int:
        """Remove leftovers there, and copies here that nobody uses; see `Store.tidy`."""
        with self._usable():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._trim()
        return self.remote.tidy(older_s=older_s)

    def check(self) -> str:
        """The store elsewhere, and what is kept here of it; see `Store.check`."""
        says = self.remote.check()
        with self._usable():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            used = sum(entry.bytes for entry in self._entries())
            space = os.statvfs(self.folder)
        if not os.access(self.folder, os.W_OK):
            raise CacheUnusable(f"the cache in {self.folder} cannot be written")
        free = space.f_bavail * space.f_frsize
        return (
            f"{says}; cache {self.folder} ({used / 2**30:.1f} of {self.bound / 2**30:.1f} GiB "
            f"used, {free / 2**30:.0f} GiB free)"
        )

    def _known(self, sha256: str) -> BinaryIO | None:
        """The copy that is here, if it is right."""
        with self._usable():
            try:
                source = self._path(sha256).open("rb")
            except FileNotFoundError:
                return None
            try:
                found = self._hashes.of(source)
            except BaseException:
                source.close()
                raise
        if found == sha256:
            return source
        source.close()
        log.warning("copy damaged, fetching it again", sha256=sha256, folder=str(self.folder))
        return None

    def _brought(self, key: str, sha256: str, check: Check) -> BinaryIO:
        """The copy, fetched by us or by another while we waited."""
        part = self._path(sha256 + _PART)
        with self._usable():
            fetching = take(part, check=check)
        try:
            source = self._known(sha256)
            if source is not None:
                part.unlink(missing_ok=True)
                return source
            return self._fetched(key, sha256, part, check)
        finally:
            os.close(fetching)

    def _fetched(self, key: str, sha256: str, part: Path, check: Check) -> BinaryIO:
        try:
            size = self.remote.size(key, sha256)
            self._make_room(part, size)
            with self._usable():
                out = part.open("r+b", buffering=0)
            with out:
                twice(lambda: self._read(key, sha256, size, out, check), sha256)
            with self._usable():
                part.replace(self._path(sha256))
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        with self._usable():
            source = self._path(sha256).open("rb")
            self._hashes.learn(source, sha256)
        return source

    def _read(self, key: str, sha256: str, size: int, out: io.RawIOBase, check: Check) -> None:
        with self._usable():
            out.seek(0)
        for chunk in self.remote.read(key, sha256, size):
            with self._usable():
                write(out, chunk)
            check()

    def _make_room(self, part: Path, size: int) -> None:
        """Drop what was not used for longest, and mark the room as taken."""
        with self._measured() as entries:
            self._drop_for(entries, size)
            # Its size counts from now on for everybody; the disk gives it as it is written.
            os.truncate(part, size)

    def _trim(self) -> None:
        """Drop what is too much, what lies here for too long, and what was left behind."""
        with self._measured() as entries:
            self._drop_for(entries, 0)

    def _drop_for(self, entries: list[_Entry], size: int) -> None:
        used, old = sum(entry.bytes for entry in entries), time.time() - KEPT_SECONDS
        for entry in sorted(entries, key=lambda entry: entry.used_at):
            crowded = entry.bytes > 0 and used + size > self.bound
            if (crowded or entry.left or entry.used_at < old) and self._drop(entry.sha256):
                used -= entry.bytes

    def _drop(self, sha256: str) -> bool:
        lock = self._path(sha256 + _LOCK)
        handle = take_if_free(lock)
        if handle is None:
            return False
        try:
            for path in (self._path(sha256), self._path(sha256 + _PART), lock):
                path.unlink(missing_ok=True)
        finally:
            os.close(handle)
        return True

    @contextmanager
    def _measured(self) -> Iterator[list[_Entry]]:
        with self._usable():
            handle = take(self._path("lock"))
            try:
                yield self._entries()
            finally:
                os.close(handle)

    def _entries(self) -> list[_Entry]:
        sizes: dict[str, int] = {}
        used_at: dict[str, float] = {}
        left: set[str] = set()
        for path in self.folder.iterdir():
            if path.name == "lock":
                continue
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue
            sizes.setdefault(path.stem, 0)
            if path.suffix == _LOCK:
                used_at[path.stem] = facts.st_mtime
            else:
                sizes[path.stem] += facts.st_size
            if path.suffix == _PART:
                left.add(path.stem)
        return [
            _Entry(sha256, size, used_at.get(sha256, 0), sha256 in left)
            for sha256, size in sizes.items()
        ]

    def _path(self, name: str) -> Path:
        return self.folder / name

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or str(error)
            raise CacheUnusable(f"the cache in {self.folder} cannot be used: {why}") from error
