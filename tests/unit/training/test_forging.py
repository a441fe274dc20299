import shutil

import pytest

from extras import need

need("pyarrow", extra="training")

from fimq.errors import ClassEmpty, CropsDiffer, DiskFull
from fimq_training.crops import forging
from fimq_training.crops.forging import Forging
from fimq_training.crops.table import CropTable
from fimq_training.manipulations.samples import SampleSet
from fimq_training.splits import paper, people
from fimq_training.splits.audit import audit


@pytest.fixture
def many(make_sample, monkeypatch):
    """Frames of thirty people, in shards of four pairs."""
    monkeypatch.setattr(forging, "SHARD", 4)
    monkeypatch.setattr(forging, "CIRCLES", 6)
    return SampleSet(make_sample(f"person_{p}", 10 * p + n) for p in range(30) for n in range(2))


def test_every_pair_is_one_real_and_one_forged_crop(many, tmp_path):
    assert list(Forging(tmp_path).run(many, 10)) == [4, 8, 10]
    table = CropTable.read(tmp_path)
    assert len(table) == 20
    assert sum(table.labels) == 10
    assert {crop.collection for crop in table.crops if not crop.manipulated} == {"Made"}
    assert {crop.method for crop in table.crops if crop.manipulated} <= set(forging.KINDS.values())
    for crop in table.crops:
        assert table.path(crop).is_file()
        assert crop.target in crop.identities


def test_what_is_there_is_not_made_again_and_the_rest_is_the_same(many, tmp_path):
    list(Forging(tmp_path / "whole").run(many, 12))
    list(Forging(tmp_path / "cut").run(many, 12))
    shutil.rmtree(tmp_path / "cut" / "parts" / "000004")
    (tmp_path / "cut" / "crops.parquet").unlink()
    list(Forging(tmp_path / "cut").run(many, 12))
    one, two = (CropTable.read(tmp_path / name) for name in ("whole", "cut"))
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize(
    "full", ["faces/000/000005-fake.png", "parts/000004/crops.parquet.part", "crops.parquet.part"]
)
def test_a_full_disk_costs_no_shard_that_is_whole(many, tmp_path, full):
    place = tmp_path / full
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        list(Forging(tmp_path).run(many, 8))
    place.unlink(missing_ok=True)
    before = (tmp_path / "parts/000000/crops.parquet").stat().st_ino
    list(Forging(tmp_path).run(many, 8))
    assert (tmp_path / "parts/000000/crops.parquet").stat().st_ino == before
    assert len(CropTable.read(tmp_path)) == 16


def test_people_can_be_kept_apart(many, tmp_path):
    list(Forging(tmp_path).run(many, 48))
    table = CropTable.read(tmp_path)
    split = people.by_people(table, validation=0.2, test=0.2)
    assert not audit(table, split, pictures=False).leaks


def test_the_papers_split_takes_its_classes(many, tmp_path):
    list(Forging(tmp_path).run(many, 40))
    table = CropTable.read(tmp_path)
    with pytest.raises(ClassEmpty):
        paper.by_collection(table)
    assert paper.by_collection(table, scale=0.0002).sides


def test_pairs_of_other_options_are_refused(many, tmp_path):
    list(Forging(tmp_path).run(many, 4))
    list(Forging(tmp_path).run(many, 4))
    for other, pairs in ((Forging(tmp_path, seed=2), 4), (Forging(tmp_path), 8)):
        with pytest.raises(CropsDiffer, match="was made with"):
            list(other.run(many, pairs))
    assert len(CropTable.read(tmp_path)) == 8
