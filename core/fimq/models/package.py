"""Model packages: what a worker loads a model from, proved to be what it says.

    model.onnx     uint8 (N, size, size, 3) in, class probabilities (N, K) out
    manifest.json  what it is (`manifest`)
    golden.npz     crops, and the scores that the exporting framework gave them
    card.md        the same in words, for people

The network is read once, its hash is checked, and those very bytes are handed on: nothing
is loaded by path, so that no file can change between the check and the load.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fimq.errors import ModelInvalid
from fimq.models.files import MOST, PackageFiles
from fimq.models.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Golden:
    """Crops with the class scores they must get."""

    crops: NDArray[np.uint8]  #: (N, size, size, 3)
    scores: NDArray[np.float32]  #: (N, K)


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A verified model, ready to be given to a runtime."""

    manifest: Manifest
    onnx: bytes
    golden: Golden
    card: str
    sha256: str  #: of the package: of all four files

    @classmethod
    def open(cls, folder: Path) -> ModelPackage:
        """Read and verify the package in a folder.

        Raises:
            ModelMissing: there is no package in this folder.
            ModelInvalid: a file is damaged, or is not what the manifest says.
        """
        return cls.of(PackageFiles.from_folder(folder))

    @classmethod
    def of(cls, files: PackageFiles) -> ModelPackage:
        """Verify the files of a package.

        Raises:
            ModelInvalid: a file is damaged, or is not what the manifest says.
        """
        manifest = Manifest.parse(files.manifest, files.where)
        if hashlib.sha256(files.network).hexdigest() != manifest.sha256:
            raise ModelInvalid(
                f"The hash of {manifest.label}'s model.onnx is not its manifest's",
                where=files.where,
            )
        golden = _golden(files.golden, manifest, files.where)
        return cls(manifest, files.network, golden, _card(files), files.sha256)


def _card(files: PackageFiles) -> str:
    try:
        return files.card.decode()
    except UnicodeDecodeError as error:
        raise ModelInvalid("The model's card.md is no text", where=files.where) from error


def _golden(content: bytes, manifest: Manifest, where: str) -> Golden:
    """Golden crops in the shape that the manifest implies. Pickles are refused."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # A damaged one may claim anything.
            if sum(entry.file_size for entry in archive.infolist()) > MOST["golden.npz"]:
                raise ModelInvalid("The model's golden.npz is too large", where=where)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            crops, scores = arrays["crops"], arrays["scores"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelInvalid("The model's golden.npz cannot be read", where=where) from error
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
        raise ModelInvalid("The model's golden.npz does not fit its manifest", where=where)
    return Golden(crops, scores)
