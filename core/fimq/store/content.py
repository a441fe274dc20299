"""Content: the hash of bytes, the key that it gives them, and files where they lie.

Every store names an object by its sha256, and lets a file that was adopted (`--in-place`)
be read where it lies, under a key that says its path.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import structlog

from fimq.errors import EmptyFile, StoreChanged, StoreMissing, StoreUnusable, TooLarge

CHUNK = 1 << 20
#: Files whose hash is remembered; a busy machine sees many videos in its life.
_MOST_KNOWN = 4096
_IN_PLACE = "path:"

log = structlog.get_logger(__name__)


def key_of(sha256: str) -> str:
    """The key of an object: two folders, so that none holds too many."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def is_key(name: str) -> bool:
    """Whether an object of a store may have this key."""
    sha256 = name.rpartition("/")[2]
    return re.fullmatch("[0-9a-f]{64}", sha256) is not None and name == key_of(sha256)


def in_place_key(path: Path) -> str:
    """The key of a file that stays where it lies."""
    return _IN_PLACE + str(path)


def in_place_path(key: str) -> Path | None:
    """The file that a key names, or None where the key names an object of the store."""
    return Path(key.removeprefix(_IN_PLACE)) if key.startswith(_IN_PLACE) else None


def hashed(
    source: BinaryIO, limit: int | None = None, keep: Callable[[bytes], object] | None = None
) -> tuple[str, int]:
    """The sha256 and the number of bytes of a stream; `keep` gets each chunk.

    Raises:
        TooLarge, EmptyFile: where a limit is given: more bytes than that, or none.
    """
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        size += len(chunk)
        if limit is not None and size > limit:
            raise TooLarge(f"the file is larger than {limit} bytes")
        digest.update(chunk)
        if keep is not None:
            keep(chunk)
    if size == 0 and limit is not None:
        raise EmptyFile
    return digest.hexdigest(), size


def write(out: io.RawIOBase, chunk: bytes) -> None:
    """Write all of a chunk to an unbuffered file, so that a full disk is met here and not later."""
    left = memoryview(chunk)
    while left:
        left = left[out.write(left) or 0 :]


def twice(read: Callable[[], None], sha256: str) -> None:
    """Fetch an object from its beginning, and once more where other bytes came.

    A job ends for good by what this raises, and one bad answer is not the object's fault.

    Raises:
        StoreChanged: other bytes came both times.
    """
    try:
        read()
    except StoreChanged:
        log.warning("other bytes came from the store, reading once more", sha256=sha256)
        read()


class Hashes:
    """Hashes of open files, computed again only for a file that changed.

    A long video is opened once a segment. Size and the time of the last change tell, in
    nanoseconds, that it is still the one that was read.
    """

    def __init__(self) -> None:
        """Know no file yet."""
        self._known: OrderedDict[tuple[int, int, int, int], str] = OrderedDict()

    def of(self, source: BinaryIO) -> str:
        """The hash of an open file, which is left at its beginning."""
        facts = _facts(source)
        known = self._known.get(facts)
        if known is None:
            known, _ = hashed(source)
            source.seek(0)
            self._keep(facts, known)
        return known

    def learn(self, source: BinaryIO, sha256: str) -> None:
        """Take the word of who hashed these bytes while they were written."""
        self._keep(_facts(source), sha256)

    def _keep(self, facts: tuple[int, int, int, int], sha256: str) -> None:
        self._known[facts] = sha256
        while len(self._known) > _MOST_KNOWN:
            # Another thread may have been first.
            with suppress(KeyError):
                self._known.popitem(last=False)


@contextmanager
def opened(path: Path, sha256: str, hashes: Hashes) -> Iterator[BinaryIO]:
    """A file of this machine whose bytes have this hash.

    Raises:
        StoreMissing: it is not there, or may not be read.
        StoreChanged: it holds other bytes.
        StoreUnusable: it cannot be read to its end.
    """
    try:
        source = path.open("rb")
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        why = f"the stored video {sha256[:12]} cannot be opened ({error.strerror})"
        raise StoreMissing(why) from error
    except OSError as error:
        raise _unreadable(sha256, error) from error
    with source:
        try:
            found = hashes.of(source)
        except OSError as error:
            raise _unreadable(sha256, error) from error
        if found != sha256:
            raise StoreChanged
        yield source


def _unreadable(sha256: str, error: OSError) -> StoreUnusable:
    why = error.strerror or str(error)
    return StoreUnusable(f"the stored video {sha256[:12]} cannot be read: {why}")


def _facts(source: BinaryIO) -> tuple[int, int, int, int]:
    facts = os.fstat(source.fileno())
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_ctime_ns
