"""A folder as the store: on one machine, or a mount that several share."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from fimq.errors import StoreMissing, StoreUnusable
from fimq.store.base import LEFTOVER_SECONDS, Check, Stored, StoreFolderMissing, go_on
from fimq.store.content import Hashes, hashed, in_place_key, in_place_path, key_of, opened

_INCOMING = "incoming"


class FolderStore:
    """Objects lie at `ab/cd/<sha256>` under one folder, written beside and renamed in."""

    def __init__(self, folder: Path, *, make: bool = False) -> None:
        """Keep the folder's path; `make` lets it be made when first needed."""
        self.folder = folder
        self._make = make
        self._hashes = Hashes()

    def find(self) -> None:
        """Look for the folder; see `Store.find`."""
        with self._usable():
            if not self._make and not self.folder.is_dir():
                raise StoreFolderMissing(
                    f"the store cannot be used: there is no folder {self.folder}"
                )

    def put(self, source: BinaryIO, *, limit: int) -> Stored:
        """Copy a stream in; see `Store.put`."""
        with self._usable():
            handle, name = tempfile.mkstemp(dir=self._folder(_INCOMING))
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as out:
                sha256, size = hashed(source, limit, lambda chunk: self._write(out, chunk))
                with self._usable():
                    out.flush()
                    os.fsync(out.fileno())
            key = key_of(sha256)
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
            sha256, size = hashed(source, limit)
        # A copy that is here already outlives the file.
        key = key_of(sha256)
        return Stored(key if self.has(key) else in_place_key(path), sha256, size)

    def has(self, key: str) -> bool:
        """Whether something lies there; see `Store.has`."""
        if in_place_path(key) is None:
            self.find()
        with self._usable():
            return self._path(key).is_file()

    @contextmanager
    def open(self, key: str, sha256: str, *, check: Check = go_on) -> Iterator[BinaryIO]:  # noqa: ARG002 - nothing is fetched here
        """A readable file with these bytes; see `Store.open`."""
        with ExitStack() as files:
            try:
                source = files.enter_context(opened(self._path(key), sha256, self._hashes))
            except StoreMissing as error:
                if in_place_path(key) is None:
                    self._check_mount(error)
                raise
            yield source

    def delete(self, key: str) -> None:
        """Remove an object; see `Store.delete`."""
        if in_place_path(key) is None:
            self.find()
            with self._usable():
                self._path(key).unlink(missing_ok=True)

    def tidy(self, *, older_s: float = LEFTOVER_SECONDS) -> int:
        """Remove parts that nobody has written to for long; see `Store.tidy`."""
        self.find()
        found, before = 0, time.time() - older_s
        with self._usable():
            for part in (self.folder / _INCOMING).glob("*"):
                try:
                    if part.stat().st_mtime < before:
                        part.unlink()
                        found += 1
                except FileNotFoundError:
                    # Renamed in, or another worker tidies as well.
                    continue
        return found

    def check(self) -> str:
        """The folder and its free space; see `Store.check`."""
        folder = self._folder(_INCOMING)
        if not os.access(folder, os.W_OK):
            raise StoreUnusable(f"the store's folder {folder} cannot be written")
        space = os.statvfs(folder)
        return f"{self.folder} ({space.f_bavail * space.f_frsize / 2**30:.0f} GiB free)"

    def _check_mount(self, error: StoreMissing) -> None:
        """Let a missing object be the store's fault where it is: that is tried again.

        Folders of objects stay when these are deleted, so that an empty store never held one.

        Raises:
            StoreFolderMissing: the folder is not there.
            StoreUnusable: nothing was ever kept here, or what lies here may not be read.
        """
        self.find()
        with self._usable():
            empty = not self.folder.is_dir() or not any(
                len(part.name) == 2 and part.is_dir() for part in self.folder.iterdir()
            )
        if empty:
            raise StoreUnusable(
                f"the store in {self.folder} cannot be used: it is empty; is it mounted here?"
            ) from error
        if isinstance(error.__cause__, PermissionError):
            raise StoreUnusable(
                f"the store in {self.folder} cannot be used: an object may not be read"
            ) from error

    def _path(self, key: str) -> Path:
        return in_place_path(key) or self.folder / key

    def _folder(self, name: str) -> Path:
        self.find()
        folder = self.folder / name
        with self._usable():
            folder.mkdir(parents=self._make, exist_ok=True, mode=0o700)
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
