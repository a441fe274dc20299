"""A folder as the store: on one machine, or a mount that several share."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fimq.errors import EmptyFile, ServiceError, StoreChanged, StoreMissing, TooLarge
from fimq.store.base import Stored

_CHUNK = 1 << 20
#: Prefix of the keys of files that were adopted where they lie.
_IN_PLACE = "path:"


class StoreUnusable(ServiceError):
    """The store's folder cannot be used."""

    code = "store_unusable"
    hint = "Check FIMQ_STORE_URL and the folder's rights."


class FolderStore:
    """Objects lie at `ab/cd/<sha256>` under one folder, written beside and renamed in."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder's path; it is made when first needed."""
        self.folder = folder
        self._verified: dict[tuple[int, int, int, int], str] = {}

    def put(self, source: BinaryIO, *, limit: int) -> Stored:
        """Copy a stream in; see `Store.put`."""
        with self._usable():
            handle, name = tempfile.mkstemp(dir=self._folder("incoming"))
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as out:
                sha256, size = _hash(source, limit, lambda chunk: self._write(out, chunk))
                with self._usable():
                    out.flush()
                    os.fsync(out.fileno())
            key = _key(sha256)
            target = self.folder / key
            with self._usable():
                target.parent.mkdir(parents=True, exist_ok=True)
                # Written again even when the object is there: what lies there may be damaged.
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return Stored(key, sha256, size)

    def adopt(self, path: Path, *, limit: int) -> Stored:
        """Refer to a file where it lies; see `Store.adopt`."""
        with path.open("rb") as source:
            sha256, size = _hash(source, limit)
        # A copy that is here already outlives the file.
        kept = (self.folder / _key(sha256)).is_file()
        return Stored(_key(sha256) if kept else _IN_PLACE + str(path.resolve()), sha256, size)

    @contextmanager
    def open(self, key: str, sha256: str) -> Iterator[BinaryIO]:
        """A readable file with these bytes; see `Store.open`."""
        with self._usable():
            if not key.startswith(_IN_PLACE) and not self.folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, "the folder is not there")
            try:
                source = self._path(key).open("rb")
            except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
                why = f"the stored video {sha256[:12]} cannot be opened ({error.strerror})"
                raise StoreMissing(why) from error
        with source:
            with self._usable():
                found = self._hash_once(source)
            if found != sha256:
                raise StoreChanged
            yield source

    def delete(self, key: str) -> None:
        """Remove an object; see `Store.delete`."""
        if not key.startswith(_IN_PLACE):
            with self._usable():
                self._path(key).unlink(missing_ok=True)

    def check(self) -> str:
        """The folder and its free space; see `Store.check`."""
        folder = self._folder("incoming")
        if not os.access(folder, os.W_OK):
            raise StoreUnusable(f"the store's folder {folder} cannot be written")
        space = os.statvfs(folder)
        return f"{self.folder} ({space.f_bavail * space.f_frsize / 2**30:.0f} GiB free)"

    def _hash_once(self, source: BinaryIO) -> str:
        # A long video is opened once a segment; a file that did not change since is not
        # read again. Size and the time of the last change tell, in nanoseconds.
        facts = os.fstat(source.fileno())
        seen = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_ctime_ns)
        if seen not in self._verified:
            self._verified[seen], _ = _hash(source)
            source.seek(0)
        return self._verified[seen]

    def _path(self, key: str) -> Path:
        if key.startswith(_IN_PLACE):
            return Path(key.removeprefix(_IN_PLACE))
        return self.folder / key

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        with self._usable():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def _write(self, out: BinaryIO, chunk: bytes) -> None:
        with self._usable():
            out.write(chunk)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or str(error)
            raise StoreUnusable(f"the store in {self.folder} cannot be used: {why}") from error


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def _hash(
    source: BinaryIO, limit: int | None = None, keep: Callable[[bytes], None] | None = None
) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        size += len(chunk)
        if limit is not None and size > limit:
            raise TooLarge(f"the file is larger than {limit} bytes")
        digest.update(chunk)
        if keep is not None:
            keep(chunk)
    if size == 0 and limit is not None:
        raise EmptyFile
    return digest.hexdigest(), size
