"""A full disk: every file that training leaves says so in one way, and is not left half."""

import errno
from pathlib import Path

import numpy as np
import pytest

from extras import need

need("pyarrow", extra="training")
need("matplotlib", extra="training")
need("tensorflow", extra="training")

from crop_folder import crop
from fimq.errors import DiskFull
from fimq_training.calibration.operating_points import OperatingPoints
from fimq_training.calibration.temperature import Calibration
from fimq_training.crops.table import CropTable
from fimq_training.disk import room_for
from fimq_training.evaluation import crop_report
from fimq_training.evaluation.predictions import Predictions
from fimq_training.fitting.curves import draw
from fimq_training.fitting.history import Epoch, History
from fimq_training.fitting.run import Run
from fimq_training.recipes import recipe
from fimq_training.splits.split import Side, Split

CROPS = [
    crop(f"{n:03d}", manipulated=n % 2 == 1, collection="Deepfakes" if n % 2 else "Youtube")
    for n in range(8)
]
HISTORY = History([Epoch(1, 10, 0.1, 0.7, 0.5, 0.6, 0.5)])
PREDICTIONS = Predictions(
    CROPS, ("fake", "real"), (True, False), np.linspace([0.1, 0.9], [0.9, 0.1], len(CROPS))
)
REPORT = crop_report.CropReport(
    model="m",
    split="s",
    sides="0",
    crops="0",
    leaks="",
    scores="raw",
    window_penalty=0.35,
    confusion=crop_report.Confusion(("fake", "real"), [[3, 1], [1, 3]]),
    measures=(),
    robustness=(),
)
RUN = Run(
    recipe=recipe.Recipe.read(recipe.find("paper-baseline-binary")),
    classes=("fake", "real"),
    manipulated={"fake": True, "real": False},
    crops="0",
    split="s",
    sides="0",
    init="none",
    seed=1,
)
POINTS = OperatingPoints(
    Calibration(1.0, 0.0), 0.0, 0.9, 0.5, 0.01, 0.1, {}, {}, 8, 8, 0.3, "every:25"
)


def report(folder: Path) -> None:
    crop_report.write(REPORT, PREDICTIONS, folder)


@pytest.mark.parametrize(
    ("write", "part", "whole"),
    [
        (lambda f: CropTable(CROPS).write(f), "crops.parquet.part", "crops.parquet"),
        (
            lambda f: Split("s", {"a": Side.TRAIN}).write(f / "s.parquet"),
            "s.parquet.part",
            "s.parquet",
        ),
        (lambda f: HISTORY.write_csv(f / "log.csv"), "log.part", "log.csv"),
        (lambda f: draw(HISTORY, f / "curves.png"), "curves.part", "curves.png"),
        (RUN.begin, "run.part", "run.json"),
        (lambda f: PREDICTIONS.write(f / "p.parquet"), "p.part", "p.parquet"),
        (report, "roc.part", "roc.png"),
        (report, "report.part", "report.json"),
        (POINTS.write, "calibration.json.part", "calibration.json"),
    ],
)
def test_no_file_is_left_half(tmp_path, write, part, whole):
    (tmp_path / part).symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        write(tmp_path)
    assert not (tmp_path / whole).exists()
    (tmp_path / part).unlink(missing_ok=True)
    write(tmp_path)
    assert (tmp_path / whole).stat().st_size


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_quota_is_a_disk_too(number):
    with pytest.raises(DiskFull, match="of /there"), room_for(Path("/there")):
        raise OSError(number, "")


def test_another_fault_of_the_disk_stays_what_it_is():
    with pytest.raises(PermissionError), room_for(Path("/there")):
        raise PermissionError(errno.EACCES, "")
