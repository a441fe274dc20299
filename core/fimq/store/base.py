"""What every store promises. One file per implementation; `open_store` picks by URL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from fimq import addresses
from fimq.errors import StoreUnusable, UsageError

#: What a killed submit left is removed when it is so old: no upload takes two days.
LEFTOVER_SECONDS = 2 * 24 * 3600
#: The packages of `fimq[s3]`.
_S3_PACKAGES = {"aiobotocore", "aiohttp", "botocore", "fsspec", "s3fs"}


@dataclass(frozen=True, slots=True)
class Stored:
    """An object in the store."""

    key: str
    sha256: str
    bytes: int


#: Raises what its giver wants to be stopped with.
Check = Callable[[], None]


def go_on() -> None:
    """A check that never stops anybody."""


class StoreUnknown(UsageError):
    """There is no store for this URL."""

    code = "store_unknown"
    hint = f"FIMQ_STORE_URL takes {addresses.STORE_FORMS}"


class StorePackageMissing(UsageError):
    """The package that this store needs is not installed."""

    code = "store_package_missing"
    hint = "Run: pip install 'fimq[s3]'"


class StoreFolderMissing(StoreUnusable):
    """The folder that FIMQ_STORE_URL names is not there."""

    code = "store_folder_missing"
    hint = "Mount it; or, for a store that begins now, make it: mkdir -p FOLDER"


class Store(Protocol):
    """Keeps videos under their sha256. Safe to use from many threads and processes at once."""

    def find(self) -> None:
        """Return if the store is where it was said to be, as far as this machine can see.

        Nobody is asked: a server that is away may be back when it is needed.

        Raises:
            StoreFolderMissing: a folder was named, and there is none.
        """
        ...

    def put(self, source: BinaryIO, *, limit: int) -> Stored:
        """Copy a stream in, hashing on the way; the same bytes are kept once.

        Never leaves half an object under its final key.

        Raises:
            TooLarge: more than `limit` bytes.
            EmptyFile: no bytes.
            FileChanged: the source did not give the same bytes twice.
            ServiceError: the store cannot be used: its rights, its space.
        """
        ...

    def adopt(self, path: Path, *, limit: int) -> Stored:
        """Refer to a file where it lies (`--in-place`), or to the copy that is here already."""
        ...

    def has(self, key: str) -> bool:
        """Whether something lies under this key, its bytes unseen.

        Raises:
            ServiceError: the store cannot be used.
        """
        ...

    def open(
        self, key: str, sha256: str, *, check: Check = go_on
    ) -> AbstractContextManager[BinaryIO]:
        """A readable file on this machine whose bytes have this hash.

        Where the bytes have to be fetched first, `check` is called between the pieces; what
        it raises ends the fetching.

        Raises:
            StoreMissing: no such object, or it may not be read.
            StoreChanged: other bytes lie there.
            ServiceError: the store itself is not there; the object may be.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object of the store; an adopted file is left alone. Missing is fine."""
        ...

    def tidy(self, *, older_s: float = LEFTOVER_SECONDS) -> int:
        """Remove what killed submits left behind, older than so many seconds; returns how much.

        Raises:
            ServiceError: the store cannot be used.
        """
        ...

    def check(self) -> str:
        """One line on the store's state for `fimq doctor`; raises `ServiceError` if unusable."""
        ...


def open_store(
    url: str, *, cache_dir: Path | None = None, cache_bytes: int = 0, make: bool = False
) -> Store:
    """The store for a URL.

    Args:
        url: `file://` and a folder, or `s3://bucket/prefix`.
        cache_dir: where objects of a store elsewhere are kept on this machine; None: nowhere,
            so that each reader copies them for itself.
        cache_bytes: how much is kept there.
        make: a folder that is not there is made when first needed. Who names one has it
            mounted: what was written beside a mount would be seen by nobody else.

    Raises:
        StoreUnknown: no implementation takes this URL.
        StorePackageMissing: the one that does cannot be imported.
    """
    # Implementations know the base; and only who uses S3 waits for its packages.
    from fimq.store.folder import FolderStore  # noqa: PLC0415

    try:
        url = addresses.store_url(url)
    except ValueError as error:
        raise StoreUnknown(f"no store for this URL: {error}") from error
    if url.startswith("file://"):
        return FolderStore(Path(url.removeprefix("file://")), make=make)
    try:
        from fimq.store.s3 import S3Store  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _S3_PACKAGES:
            raise
        raise StorePackageMissing(f"a store on S3 needs {error.name}") from error
    remote = S3Store(url)
    if cache_dir is None:
        return remote
    from fimq.store.cache import CachedStore  # noqa: PLC0415

    return CachedStore(remote, cache_dir, cache_bytes)
