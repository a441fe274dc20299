"""What every store promises. One file per implementation; `open_store` picks by URL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from fimq.errors import UsageError
from fimq.logs import redact


@dataclass(frozen=True, slots=True)
class Stored:
    """An object in the store."""

    key: str
    sha256: str
    bytes: int


class StoreUnknown(UsageError):
    """There is no store for this URL."""

    code = "store_unknown"
    hint = "FIMQ_STORE_URL takes file:///path/to/folder"


class Store(Protocol):
    """Keeps videos under their sha256. Safe to use from many processes at once."""

    def put(self, source: BinaryIO, *, limit: int) -> Stored:
        """Copy a stream in, hashing on the way; the same bytes are kept once.

        Never leaves half an object under its final key.

        Raises:
            TooLarge: more than `limit` bytes.
            EmptyFile: no bytes.
            ServiceError: the store cannot be used: its rights, its space.
        """
        ...

    def adopt(self, path: Path, *, limit: int) -> Stored:
        """Refer to a file where it lies (`--in-place`), or to the copy that is here already."""
        ...

    def open(self, key: str, sha256: str) -> AbstractContextManager[BinaryIO]:
        """A readable file on this machine whose bytes have this hash.

        Raises:
            StoreMissing: no such object, or it may not be read.
            StoreChanged: other bytes lie there.
            ServiceError: the store itself is not there; the object may be.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object of the store; an adopted file is left alone. Missing is fine."""
        ...

    def check(self) -> str:
        """One line on the store's state for `fimq doctor`; raises `ServiceError` if unusable."""
        ...


def open_store(url: str) -> Store:
    """The store for a URL.

    Raises:
        StoreUnknown: no implementation takes this URL.
    """
    from fimq.store.folder import FolderStore  # noqa: PLC0415 - implementations know the base

    if url.startswith("file://"):
        return FolderStore(Path(url.removeprefix("file://")))
    raise StoreUnknown(f"no store for {redact(url)}")
