"""Arrays on disk: an npz under its name whole or not at all, and nothing in it that can run.

Samples, pairs, clips, weights and checkpoints are kept this way. A stage of work counts as done
when its file is there, so half a file must never be.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fimq.errors import ArraysDamaged
from fimq_training.disk import room_for

Arrays = Mapping[str, NDArray[Any]]

#: Where a member of a zip says how long its name and its extra field are (PKWARE APPNOTE 4.3.7).
_NAME_LENGTHS = 26


def write_arrays(path: Path, arrays: Arrays, *, packed: bool = False) -> None:
    """Write arrays to an npz, and wait until the disk has them; `packed` compresses.

    Raises:
        DiskFull: there was no room; what stood under the name stands there still.
    """
    part = path.with_name(f"{path.name}.part{os.getpid()}")  # two may make the same file
    save: Any = np.savez_compressed if packed else np.savez
    with room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as out:
                save(out, **arrays)
                out.flush()
                os.fsync(out.fileno())
        except OSError:
            part.unlink(missing_ok=True)
            raise
        part.replace(path)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read every array of an npz. Pickles are refused.

    Raises:
        FileNotFoundError: there is no such file.
        ArraysDamaged: it is not a whole npz of plain arrays.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ArraysDamaged(f"{path} is not whole") from error


def map_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an npz that was not packed, left on the disk: rows are read as they are asked.

    Several processes that map one file share its pages. Everything is read once, for its sums.

    Raises:
        FileNotFoundError: there is no such file.
        ArraysDamaged: it is not a whole npz of plain arrays, or it is packed.
    """
    try:
        with zipfile.ZipFile(path) as stored:
            if (damaged := stored.testzip()) is not None:
                raise ArraysDamaged(f"{path} is not whole: {damaged}")
            return {
                member.filename.removesuffix(".npy"): _mapped(path, stored, member)
                for member in stored.infolist()
            }
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ArraysDamaged(f"{path} is not whole") from error


def _mapped(path: Path, stored: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ArraysDamaged(f"{path} is packed")
    with stored.open(member) as array:
        form: Any = np.lib.format
        read = form.read_array_header_1_0 if form.read_magic(array) == (1, 0) else None
        if read is None:
            raise ArraysDamaged(f"{path} has an array of another version")
        shape, by_column, dtype = read(array)
        if dtype.hasobject:
            raise ArraysDamaged(f"{path} is not of plain arrays")
        header = array.tell()
    with path.open("rb") as file:
        file.seek(member.header_offset + _NAME_LENGTHS)
        lengths = file.read(4)
    # A member's own header may be longer than the directory's copy of it: zip64.
    names = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    offset = member.header_offset + _NAME_LENGTHS + 4 + names + header
    mapped: NDArray[Any] = np.memmap(
        path, dtype, mode="r", offset=offset, shape=shape, order="F" if by_column else "C"
    )
    return mapped
