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
