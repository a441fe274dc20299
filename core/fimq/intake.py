"""Intake: a file on this machine becomes stored content, or is refused with its reason.

Only the first bytes are looked at; nothing here parses media. A file's name is kept to be
shown and never becomes a path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from fimq.errors import (
    EmptyFile,
    IsAFolder,
    NotAFile,
    NotAVideo,
    NotFound,
    NotReadable,
    PathNotShared,
    TooLarge,
)
from fimq.ledger.submission import Content
from fimq.signature import LENGTH, refusal
from fimq.store.base import Store


def shown(name: str) -> str:
    """A file name that is safe to print: control and direction characters are escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )


def take_in(
    path: Path,
    store: Store,
    *,
    limit: int,
    in_place: bool = False,
    shared: Sequence[Path] | None = None,
) -> Content:
    """Check a file and put it into the store.

    Args:
        path: the file.
        store: where its bytes go.
        limit: the most bytes that are taken.
        in_place: refer to the file where it lies.
        shared: the folders that every worker sees at the same place; None: all workers are
            on this machine, and see what we see.

    Raises:
        InputError: the file is refused; nothing was stored.
    """
    name = shown(path.name)
    _check_kind(path, name)
    adopted = _seen_by_all(path, name, shared) if in_place else None
    try:
        # O_NONBLOCK: a FIFO that took the file's place meanwhile must not hang us.
        source = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {shown(str(path))}") from error
    except OSError as error:
        raise NotReadable(f"{name} may not be read") from error
    with source:
        facts = os.fstat(source.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise NotAFile(f"{name} is not a file")
        if facts.st_size == 0:
            raise EmptyFile(f"{name} is empty")
        if facts.st_size > limit:
            raise TooLarge(f"{name} has {facts.st_size} bytes; this installation takes {limit}")
        try:
            words = refusal(source.read(LENGTH))
            if words is not None:
                raise NotAVideo(f"{name} is not a video (it starts like {words})")
            source.seek(0)
            stored = (
                store.put(source, limit=limit)
                if adopted is None
                else store.adopt(adopted, limit=limit)
            )
        except OSError as error:
            why = error.strerror or str(error)
            raise NotReadable(f"{name} could not be read to its end: {why}") from error
    return Content(stored.sha256, stored.bytes, stored.key, name)


def _seen_by_all(path: Path, name: str, shared: Sequence[Path] | None) -> Path:
    """The path under which every worker finds the file."""
    # A link is followed first: what it points to may lie where nobody else looks.
    whole = path.resolve()
    if shared is None:
        return whole
    for folder in shared:
        # The folder itself may be a link here and a mount there: its name is what is shared.
        if whole.is_relative_to(folder.resolve()):
            return folder / whole.relative_to(folder.resolve())
    raise PathNotShared(f"{name} lies in no folder that every worker sees")


def _check_kind(path: Path, name: str) -> None:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no file {shown(str(path))}") from error
    except OSError as error:
        raise NotReadable(f"{name} may not be read") from error
    if stat.S_ISDIR(mode):
        raise IsAFolder(f"{name or shown(str(path))} is a folder")
    if not stat.S_ISREG(mode):
        raise NotAFile(f"{name} is a pipe, socket or device")
