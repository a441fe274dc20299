"""Files: a package as bytes, wherever it comes from, and the one hash that names it.

    card.md  golden.npz  manifest.json  model.onnx

Read by these names from a folder or a zip archive; no name of an archive ever becomes a path,
and nothing is unpacked onto a disk. The hash of a package binds all four, so that a changed
threshold is another package though its network is the same. Anyone can compute it, in the
package's folder:

    sha256sum card.md golden.npz manifest.json model.onnx | sha256sum
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

from fimq.errors import ModelInvalid, ModelMissing

CARD, GOLDEN, MANIFEST, NETWORK = "card.md", "golden.npz", "manifest.json", "model.onnx"
#: The most bytes of each; what is larger is not read.
MOST: Final[Mapping[str, int]] = MappingProxyType(
    {CARD: 2**20, GOLDEN: 256 * 2**20, MANIFEST: 2**20, NETWORK: 512 * 2**20}
)
#: The most bytes of an archive of them.
MOST_ARCHIVE: Final = sum(MOST.values()) + 2**16
#: What zipfile raises of an archive that is damaged, encrypted or packed in a way unknown here.
_UNREADABLE: Final = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError),
    *(NotImplementedError, RuntimeError),
)


@dataclass(frozen=True, slots=True)
class PackageFiles:
    """The four files of a package, unproved."""

    card: bytes  #: empty where the package has none
    golden: bytes
    manifest: bytes
    network: bytes
    where: str  #: for messages

    @classmethod
    def from_folder(cls, folder: Path) -> PackageFiles:
        """Read a folder; other files in it are left alone.

        Raises:
            ModelMissing: a file other than the card is not there.
            ModelInvalid: one is no file, cannot be read, or is too large.
        """
        card = _read_file(folder / CARD) if (folder / CARD).exists() else b""
        # The manifest first: without one the folder is no package at all.
        manifest = _read_file(folder / MANIFEST)
        network, golden = _read_file(folder / NETWORK), _read_file(folder / GOLDEN)
        return cls(card, golden, manifest, network, str(folder))

    @classmethod
    def from_archive(cls, source: BinaryIO, where: str) -> PackageFiles:
        """Read a zip archive that holds the four files, all of them in one folder or in none.

        Raises:
            ModelMissing: one of them is not in it.
            ModelInvalid: it is no such archive: damaged, encrypted, too large, or with other
                files in it.
        """
        try:
            with zipfile.ZipFile(source) as archive:
                entries = _entries(archive, where)
                found = {name: _member(archive, entry, where) for name, entry in entries.items()}
        except _UNREADABLE as error:
            raise ModelInvalid("The archive of the model cannot be read", where=where) from error
        return cls(found[CARD], found[GOLDEN], found[MANIFEST], found[NETWORK], where)

    @property
    def sha256(self) -> str:
        """The hash of the package: of the list that `sha256sum` prints of its files."""
        lines = (
            f"{hashlib.sha256(content).hexdigest()}  {name}\n"
            for name, content in self._named().items()
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def archive(self) -> bytes:
        """The package as one object, as the store keeps it. Stored, not squeezed: weights."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, content in self._named().items():
                # Without a date, so that the same files are mostly the same object.
                archive.writestr(zipfile.ZipInfo(name), content)
        return out.getvalue()

    def _named(self) -> dict[str, bytes]:
        return {
            CARD: self.card,
            GOLDEN: self.golden,
            MANIFEST: self.manifest,
            NETWORK: self.network,
        }


def _read_file(path: Path) -> bytes:
    """A regular file's bytes. Anything else would hang us, or never end."""
    folder = str(path.parent)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelMissing(f"The model has no {path.name}", folder=folder) from error
    except OSError as error:
        raise ModelInvalid(f"The model's {path.name} may not be read", folder=folder) from error
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise ModelInvalid(f"The model's {path.name} is not a file", folder=folder)
        return _bounded(file.read, path.name, facts.st_size, folder)


def _bounded(read: Callable[[int], bytes], name: str, size: int, where: str) -> bytes:
    content = read(MOST[name] + 1) if size <= MOST[name] else b""
    if size > MOST[name] or len(content) > MOST[name]:
        raise ModelInvalid(
            f"The model's {name} is too large: {MOST[name]} bytes at most", where=where
        )
    return content


def _entries(archive: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    """The entry of each of the four. What else is in the archive is refused, not passed over."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    folder = _common_folder(entries)
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename.removeprefix(folder)
        if name not in MOST or name in found:
            raise ModelInvalid(
                f"The archive of the model holds more than a package: {entry.filename[:80]!r}",
                where=where,
            )
        found[name] = entry
    for name in MOST:
        if name not in found:
            raise ModelMissing(f"The model has no {name}", where=where)
    return found


def _common_folder(entries: list[zipfile.ZipInfo]) -> str:
    """`name/` where a whole folder was packed, else nothing."""
    folders = {entry.filename.rpartition("/")[0] for entry in entries}
    folder = folders.pop() if len(folders) == 1 else ""
    return f"{folder}/" if folder else ""


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, where: str) -> bytes:
    name = entry.filename.rpartition("/")[2]
    with archive.open(entry) as file:
        return _bounded(file.read, name, entry.file_size, where)
