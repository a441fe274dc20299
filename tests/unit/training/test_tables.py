from dataclasses import replace

import pytest

from extras import need

need("pyarrow", extra="training")

from hypothesis import given
from hypothesis import strategies as st

from crop_folder import crop
from fimq.errors import CropsDamaged, CropsMissing, SplitDamaged, SplitMissing
from fimq_training.crops.table import TABLE, CropTable
from fimq_training.splits.split import Side, Split

CROP = replace(
    crop("000_003", manipulated=True, collection="Deepfakes"),
    source="003",
    target="000",
    identities=("000", "003"),
    compression="c23",
)


def crops(count):
    return [replace(CROP, frame=25 * n, file=f"faces/{n:06d}-0.png") for n in range(count)]


class TestCropTable:
    def test_it_comes_back_as_it_was_written(self, tmp_path):
        still = replace(CROP, file="faces/b.png", pts=None, time_s=None, method=None, source=None)
        CropTable([CROP, still]).write(tmp_path)
        again = CropTable.read(tmp_path)
        assert list(again.crops) == [CROP, still]
        assert again.path(CROP) == tmp_path / CROP.file

    @given(st.permutations(crops(6)))
    def test_equal_crops_have_one_fingerprint_in_any_order(self, shuffled):
        assert CropTable(shuffled).fingerprint == CropTable(crops(6)).fingerprint

    @pytest.mark.parametrize(
        "change", [{"manipulated": False}, {"sha256": "1" * 64}, {"method": "FaceSwap"}]
    )
    def test_another_label_or_picture_has_another_fingerprint(self, change):
        assert CropTable([replace(CROP, **change)]).fingerprint != CropTable([CROP]).fingerprint

    def test_a_folder_without_a_table_is_named(self, tmp_path):
        with pytest.raises(CropsMissing, match=TABLE):
            CropTable.read(tmp_path)

    def test_a_table_cut_short_is_refused(self, tmp_path):
        CropTable(crops(50)).write(tmp_path)
        whole = (tmp_path / TABLE).read_bytes()
        (tmp_path / TABLE).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(CropsDamaged):
            CropTable.read(tmp_path)

    def test_two_folders_of_one_data_set_are_refused(self, tmp_path):
        for name in ("a", "b"):
            CropTable([CROP]).write(tmp_path / name)
        with pytest.raises(CropsDamaged, match="Two folders"):
            CropTable.read(tmp_path / "a", tmp_path / "b")

    def test_rows_that_are_not_there_are_counted(self):
        with pytest.raises(CropsMissing, match="1 of 2"):
            CropTable([CROP]).rows([CROP.key, "faceforensics/faces/none.png"])


class TestSplit:
    def test_it_comes_back_as_it_was_written(self, tmp_path):
        sides = {"a": Side.TRAIN, "b": Side.TEST, "c": Side.VALIDATION}
        split = Split("paper", sides, "by image", {"seed": "1"})
        split.write(tmp_path / "paper.parquet")
        assert Split.read(tmp_path / "paper.parquet") == split
        assert split.keys(Side.TEST) == ["b"]

    def test_a_missing_file_and_a_damaged_one_are_told_apart(self, tmp_path):
        with pytest.raises(SplitMissing):
            Split.read(tmp_path / "x.parquet")
        (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing PAR1")
        with pytest.raises(SplitDamaged):
            Split.read(tmp_path / "x.parquet")
