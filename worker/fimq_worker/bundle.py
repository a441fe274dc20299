"""A bundle: the crops of one video in one file, as a worker leaves them in the store.

A ZIP of PNGs and of `cuts.json`, which says what each of them is; nothing is compressed twice.
It names its job, so that no two jobs share one, and holds no times, so that the same cut by
another worker gives the same bytes.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from fimq.errors import BundleDamaged
from fimq_worker.cutting import CutFace, Cuts, CutSample

_INDEX = "cuts.json"
_FORMAT = 1


def write(file: BinaryIO, job_id: str, cuts: Cuts) -> Iterator[CutSample]:
    """Write a bundle sample by sample; yields each once it is written.

    The bundle is whole when all were taken.
    """
    with zipfile.ZipFile(file, "w") as archive:
        samples: list[dict[str, Any]] = []
        for sample in cuts.samples:
            for face in sample.faces:
                archive.writestr(zipfile.ZipInfo(_name(sample.frame, face.ordinal)), face.png)
            samples.append(
                {
                    "frame": sample.frame,
                    "pts": sample.pts,
                    "time_s": sample.time_s,
                    "faces": [
                        [face.ordinal, face.box, face.detector_score] for face in sample.faces
                    ],
                }
            )
            yield sample
        index = {
            "format": _FORMAT,
            "job": job_id,
            "codec": cuts.codec,
            "still": cuts.still,
            "samples": samples,
        }
        archive.writestr(zipfile.ZipInfo(_INDEX), json.dumps(index, separators=(",", ":")))


def read(file: BinaryIO) -> Cuts:
    """The crops of a bundle; PNGs are read as they are asked for.

    Raises:
        BundleDamaged: it is not what `write` wrote; also while the samples are gone through.
    """
    try:
        archive = zipfile.ZipFile(file)
        index = json.loads(archive.read(_INDEX))
        if index["format"] != _FORMAT:
            raise BundleDamaged(f"The bundle has format {index['format']}, not {_FORMAT}")
        return Cuts(str(index["codec"]), bool(index["still"]), _samples(archive, index["samples"]))
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise BundleDamaged from error


def _samples(archive: zipfile.ZipFile, samples: list[dict[str, Any]]) -> Iterator[CutSample]:
    try:
        for sample in samples:
            frame = int(sample["frame"])
            faces = (
                CutFace(ordinal, (x, y, width, height), score, archive.read(_name(frame, ordinal)))
                for ordinal, (x, y, width, height), score in sample["faces"]
            )
            yield CutSample(frame, sample["pts"], sample["time_s"], tuple(faces))
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise BundleDamaged from error


def _name(frame: int, ordinal: int) -> str:
    return f"{frame:06d}-{ordinal}.png"
