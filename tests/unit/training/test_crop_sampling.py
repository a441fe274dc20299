"""By which sampling a model says that it was validated."""

import json
from dataclasses import replace

import pytest

from extras import need

need("tensorflow", extra="training")

from crop_folder import crop
from fimq.errors import CropsDamaged
from fimq_training.crops.sampling import sampling
from fimq_training.crops.table import CropTable
from fimq_training.export.card import _sampling


@pytest.fixture
def crops(tmp_path):
    """A table of crops of data sets, each made with its own options; None: none are said."""

    def make(*, stills=(), **options):
        rows = []
        for name, said in options.items():
            (tmp_path / name).mkdir()
            if said is not None:
                (tmp_path / name / "dataset.json").write_text(json.dumps({"options": said}))
            row = replace(crop(name, manipulated=False, collection="Youtube"), dataset=name)
            rows.append(replace(row, pts=None, time_s=None) if name in stills else row)
        return CropTable(rows, {name: tmp_path / name for name in options})

    return make


EVERY, FRAMES = {"every": 10, "frames": None}, {"every": None, "frames": 32}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ffpp": EVERY}, "every:10"),
        ({"ffpp": FRAMES}, "frames:32"),
        ({"ffpp": EVERY, "dfdc": EVERY}, "every:10"),
        ({"ffpp": EVERY, "dfdc": FRAMES}, "every:10 and frames:32"),
        ({"ffpp": None}, "unknown"),
        ({"ffpp": EVERY, "forged": None, "stills": ("forged",)}, "every:10"),
    ],
)
def test_it_is_that_of_the_folders_that_videos_are_from(crops, options, said):
    assert sampling(crops(**options)) == said


def test_a_damaged_summary_is_named(crops):
    table = crops(ffpp=EVERY)
    (table.folders["ffpp"] / "dataset.json").write_text("[]")
    with pytest.raises(CropsDamaged, match=r"dataset\.json"):
        sampling(table)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("every:10", "sampling `every:10`"),
        ("frames:32", "at most N samples over a whole video, as no job does"),
        ("every:10 and every:25", "sampling `every:10` and `every:25` (data sets differ)"),
        ("unknown", "not known"),
    ],
)
def test_the_card_explains_what_no_job_would_do(said, text):
    assert text in _sampling(said)
