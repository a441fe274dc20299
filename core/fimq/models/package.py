"""Model packages: the folder that a worker loads a model from.

    model.onnx     uint8 (N, size, size, 3) in, class probabilities (N, K) out
    manifest.json  what it is (`manifest`)
    golden.npz     crops, and the scores that the exporting framework gave them
    card.md        the same in words, for people

The network is read once, its hash is checked, and those very bytes are handed on: nothing
is loaded by path, so that no file can change between the check and the load.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fimq.errors import ModelInvalid, ModelMissing
from fimq.models.manifest import FILE_NAME, Manifest

#: No golden file of a sound package is larger; a damaged one may claim anything.
_MOST_GOLDEN_BYTES: Final = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Golden:
    """Crops with the class scores they must get."""

    crops: NDArray[np.uint8]  #: (N, size, size, 3)
    scores: NDArray[np.float32]  #: (N, K)


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A verified model, ready to be given to a runtime."""

    folder: Path
    manifest: Manifest
    onnx: bytes
    golden: Golden

    @classmethod
    def open(cls, folder: Path) -> ModelPackage:
        """Read and verify a package.

        Raises:
            ModelMissing: there is no package in this folder.
            ModelInvalid: a file is damaged, or is not what the manifest says.
        """
        manifest = Manifest.read(folder / FILE_NAME)
        network = _read(folder / "model.onnx")
        if hashlib.sha256(network).hexdigest() != manifest.sha256:
            raise ModelInvalid(
                f"The hash of {manifest.label}'s model.onnx is not its manifest's",
                folder=str(folder),
            )
        return cls(folder, manifest, network, _golden(folder / "golden.npz", manifest))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelMissing(f"The model has no {file.name}", folder=str(file.parent)) from error


def _golden(file: Path, manifest: Manifest) -> Golden:
    """Golden crops in the shape that the manifest implies. Pickles are refused."""
    try:
        with zipfile.ZipFile(file) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST_GOLDEN_BYTES:
                raise ModelInvalid("The model's golden.npz is too large", folder=str(file.parent))
        with np.load(file, allow_pickle=False) as arrays:
            crops, scores = arrays["crops"], arrays["scores"]
    except FileNotFoundError as error:
        raise ModelMissing("The model has no golden.npz", folder=str(file.parent)) from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelInvalid(
            "The model's golden.npz cannot be read", folder=str(file.parent)
        ) from error
    size, count = manifest.input.size, len(crops)
    fits = (
        count > 0
        and crops.dtype == np.uint8
        and crops.shape == (count, size, size, 3)
        and scores.dtype == np.float32
        and scores.shape == (count, len(manifest.classes))
        and bool(np.isfinite(scores).all())
    )
    if not fits:
        raise ModelInvalid(
            "The model's golden.npz does not fit its manifest", folder=str(file.parent)
        )
    return Golden(crops, scores)
