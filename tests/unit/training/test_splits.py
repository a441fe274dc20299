import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extras import need

need("pyarrow", extra="training")

import cv2

from crop_folder import crop
from fimq.errors import (
    ClassEmpty,
    SideEmpty,
    SplitListsInvalid,
    SplitRuleUnfit,
    SplitSharesIdentity,
    SplitSharesPicture,
    SplitSharesVideo,
    UsageError,
)
from fimq_training.crops.table import CropTable
from fimq_training.splits import paper, people
from fimq_training.splits.audit import audit, difference_hashes, near
from fimq_training.splits.split import Side, Split, find_split


def row(number, *, identities=(), video=None, collection="Youtube"):
    return replace(
        crop(f"{number:04d}", manipulated=collection == "Deepfakes", collection=collection),
        identities=tuple(identities),
        video=video or f"{number:04d}.mp4",
    )


PEOPLE = st.lists(
    st.lists(st.integers(0, 30).map(str), max_size=3).map(tuple), min_size=60, max_size=90
)


class TestByPeople:
    @given(PEOPLE, st.integers(0, 5))
    def test_nobody_and_no_video_is_on_two_sides(self, shown, seed):
        rows = [row(n, identities=who, video=f"{n // 2}.mp4") for n, who in enumerate(shown)]
        table = CropTable(rows)
        try:
            split = people.by_people(table, validation=0.2, test=0.2, seed=seed)
        except SideEmpty:
            return
        left_out = len(table) - len(split.sides)
        assert split.facts.get("left_out", "0") == str(left_out)
        assert not audit(table, split, pictures=False).leaks

    def test_shares_are_about_those_asked_for(self):
        table = CropTable(row(n, identities=(str(n // 4),)) for n in range(400))
        split = people.by_people(table, validation=0.1, test=0.2)
        counts = people.shares(split)
        assert counts[Side.TEST] == pytest.approx(80, abs=4)
        assert counts[Side.VALIDATION] == pytest.approx(40, abs=4)

    def test_the_order_of_rows_changes_nothing_and_the_seed_does(self):
        rows = [row(n, identities=(str(n),)) for n in range(100)]
        one = people.by_people(CropTable(rows))
        assert people.by_people(CropTable(reversed(rows))).sides == one.sides
        assert people.by_people(CropTable(rows), seed=2).sides != one.sides

    def test_one_person_fills_no_three_sides(self):
        with pytest.raises(SideEmpty, match="Too few people"):
            people.by_people(CropTable(row(n, identities=("anna",)) for n in range(9)))

    @pytest.mark.parametrize("seed", range(6))
    def test_a_group_too_large_for_a_side_is_trained_on(self, seed):
        crowd = [row(n, identities=("a", f"x{n}")) for n in range(600)]
        alone = [row(600 + n, identities=(f"y{n}",)) for n in range(400)]
        counts = people.shares(people.by_people(CropTable([*crowd, *alone]), seed=seed))
        assert counts == {Side.TRAIN: 800, Side.VALIDATION: 100, Side.TEST: 100}

    def test_where_all_hang_together_people_are_dealt_singly(self):
        rng = np.random.default_rng(1)
        real = [row(n, identities=(f"p{n % 30}",)) for n in range(300)]
        swapped = [
            row(300 + n, identities=tuple(f"p{p}" for p in rng.choice(30, 2, replace=False)))
            for n in range(600)
        ]
        table = CropTable([*real, *swapped])
        split = people.by_people(table, validation=0.2, test=0.2)
        assert not audit(table, split, pictures=False).leaks
        left_out = len(table) - len(split.sides)
        assert split.facts["left_out"] == str(left_out)
        assert 0 < left_out < len(swapped)
        for side in Side:
            shown = [c for c in table.crops if split.sides.get(c.key) is side]
            assert {len(c.identities) for c in shown} == {1, 2}


class TestOfficial:
    @pytest.fixture
    def pairs(self, tmp_path):
        lists = {"train": [["000", "003"]], "val": [["010", "011"]], "test": [["020", "021"]]}
        for name, content in lists.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    def test_both_directions_of_a_pair_are_on_one_side(self, pairs):
        shown = [("000", "003"), ("003", "000"), ("000",), ("010", "011"), ("021", "020"), ("020",)]
        table = CropTable(row(n, identities=who) for n, who in enumerate(shown))
        split = people.official(table, pairs)
        sides = [split.sides[key] for key in table.keys]
        assert sides == [*[Side.TRAIN] * 3, Side.VALIDATION, Side.TEST, Side.TEST]
        assert not audit(table, split, pictures=False).leaks

    @pytest.mark.parametrize("dataset", ["made", "forged"])
    def test_who_is_not_in_the_lists_is_dealt_by_people(self, pairs, dataset):
        theirs = [row(90 + n, identities=(who,)) for n, who in enumerate(("000", "010", "020"))]
        ours = [replace(row(n, identities=(f"our_{n // 2}",)), dataset=dataset) for n in range(60)]
        table = CropTable([*theirs, *ours])
        split = people.official(table, pairs)
        assert set(split.sides) == set(table.keys)
        assert not audit(table, split, pictures=False).leaks
        counts = people.shares(Split("", {c.key: split.sides[c.key] for c in ours}))
        assert counts == {Side.TRAIN: 20, Side.VALIDATION: 20, Side.TEST: 20}

    @pytest.mark.parametrize("who", [(), ("999",), ("000", "010"), ("000", "999")])
    def test_who_is_no_pair_of_one_side_is_refused(self, pairs, who):
        with pytest.raises(SplitRuleUnfit):
            people.official(CropTable([row(0, identities=who)]), pairs)

    def test_a_file_that_is_missing_or_other_is_named(self, pairs):
        (pairs / "val.json").write_text('{"a": 1}')
        with pytest.raises(SplitListsInvalid, match=r"val\.json"):
            people.official(CropTable([]), pairs)
        (pairs / "val.json").unlink()
        with pytest.raises(SplitListsInvalid, match=r"val\.json"):
            people.official(CropTable([]), pairs)

    def test_nobody_is_in_two_lists(self, pairs):
        (pairs / "val.json").write_text('[["010", "000"]]')
        with pytest.raises(SplitListsInvalid, match="000 is twice"):
            people.official(CropTable([row(0, identities=("000",))]), pairs)


class TestPapers:
    def test_its_numbers_are_the_papers(self):
        assert paper.BINARY.total == 66_994
        assert paper.SEVEN.total == 16_750

    def test_as_many_of_each_class_in_equal_parts_of_each_collection(self):
        names = ["CelebA"] * 300 + ["Youtube"] * 300 + ["Deepfakes"] * 400
        table = CropTable(row(n, collection=name) for n, name in enumerate(names))
        split = paper.binary(table, scale=0.003)
        used = table.rows(split.keys(Side.TRAIN))
        counts = {name: [c.collection for c in used.crops].count(name) for name in set(names)}
        assert counts["Deepfakes"] == paper.BINARY.scaled(0.003).train == 161
        assert counts["CelebA"] + counts["Youtube"] == 161
        assert abs(counts["CelebA"] - counts["Youtube"]) < 40
        assert "by image" in split.facts["leaks"]

    def test_too_few_say_how_many_there_are(self):
        table = CropTable(row(n, collection="Deepfakes") for n in range(10))
        with pytest.raises(ClassEmpty, match="Deepfakes has 10"):
            paper.by_collection(table)

    def test_classes_can_be_chosen(self):
        names = ["CelebA"] * 20 + ["Youtube"] * 3 + ["Deepfakes"] * 20
        table = CropTable(row(n, collection=name) for n, name in enumerate(names))
        split = paper.by_collection(table, collections=("CelebA", "Deepfakes"), scale=0.001)
        used = {crop.collection for crop in table.rows(split.sides).crops}
        assert used == {"CelebA", "Deepfakes"}
        with pytest.raises(ClassEmpty, match="FaceSwap"):
            paper.by_collection(table, collections=("FaceSwap",))

    def test_the_audit_sees_what_it_leaks(self):
        table = CropTable(row(n, identities=(str(n // 20),)) for n in range(400))
        split = paper.binary(table, scale=0.003)
        with pytest.raises(SplitSharesIdentity):
            audit(table, split, pictures=False).stop()


@pytest.fixture
def pictures(tmp_path):
    """12 crops with pictures, no two alike."""
    rng, rows = np.random.default_rng(5), []
    (tmp_path / "faces").mkdir()
    for number in range(12):
        coarse = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        face = cv2.resize(coarse, (128, 128), interpolation=cv2.INTER_CUBIC)
        rows.append(row(number, identities=(str(number),)))
        cv2.imwrite(str(tmp_path / rows[-1].file), face)
    CropTable(rows).write(tmp_path)
    return CropTable.read(tmp_path)


def alternating(table):
    kinds = [Side.TRAIN, Side.TEST]
    return Split("made", {key: kinds[n % 2] for n, key in enumerate(table.keys)})


class TestAudit:
    def test_what_is_clean_passes(self, pictures):
        audit(pictures, alternating(pictures)).stop()

    def test_a_planted_person_is_found(self, pictures):
        rows = [*pictures.crops]
        rows[3] = replace(rows[3], identities=("7", "2"))
        table = CropTable(rows, pictures.folders)
        with pytest.raises(SplitSharesIdentity, match="2 is in train and in test"):
            audit(table, alternating(table)).stop()

    def test_a_planted_video_is_found(self, pictures):
        rows = [*pictures.crops]
        rows[3] = replace(rows[3], video=rows[4].video)
        table = CropTable(rows, pictures.folders)
        with pytest.raises(SplitSharesVideo, match=r"0004\.mp4"):
            audit(table, alternating(table)).stop()

    @pytest.mark.parametrize(
        "change", ["copy", "jpeg", "brighter", "halved"], ids=lambda name: f"a {name}"
    )
    def test_a_planted_picture_is_found_though_it_was_coded_again(self, pictures, change):
        face = cv2.imread(str(pictures.path(pictures.crops[4])))
        other = {
            "copy": lambda: face,
            "jpeg": lambda: cv2.imdecode(cv2.imencode(".jpg", face, [1, 40])[1], 1),
            "brighter": lambda: cv2.convertScaleAbs(face, alpha=0.9, beta=20),
            "halved": lambda: cv2.resize(cv2.resize(face, (64, 64)), (128, 128)),
        }[change]()
        cv2.imwrite(str(pictures.path(pictures.crops[9])), other)
        found = audit(pictures, alternating(pictures))
        assert [leak.example for leak in found.pictures] == [pictures.crops[9].key]
        with pytest.raises(SplitSharesPicture):
            found.stop()

    def test_two_alike_on_one_side_are_no_leak(self, pictures):
        face = pictures.path(pictures.crops[4]).read_bytes()
        pictures.path(pictures.crops[8]).write_bytes(face)
        assert not audit(pictures, alternating(pictures)).leaks


class TestNear:
    @given(
        st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=12),
        st.lists(st.integers(0, 63), max_size=6, unique=True),
    )
    def test_it_finds_what_comparing_all_finds(self, values, flips):
        changed = values[0]
        for bit in flips:
            changed ^= 1 << bit
        hashes = np.array([*values, changed], np.uint64)
        groups = np.arange(len(hashes)) % 2
        wanted = {
            (a, b)
            for a in range(len(hashes))
            for b in range(a + 1, len(hashes))
            if groups[a] != groups[b] and int(hashes[a] ^ hashes[b]).bit_count() <= 4
        }
        found = list(near(hashes, groups))
        assert set(found) == wanted
        assert len(found) == len(wanted)

    def test_a_hash_is_of_brightness_from_left_to_right(self):
        ramp = np.tile(np.arange(0, 252, 7, dtype=np.uint8), (36, 1))
        assert difference_hashes(np.stack([ramp, ramp[:, ::-1]])).tolist() == [2**64 - 1, 0]


class TestFindSplit:
    @pytest.fixture
    def table(self, tmp_path):
        folders = {"made": tmp_path / "one", "forged": tmp_path / "two"}
        return CropTable([row(0), replace(row(1), dataset="forged")], folders)

    def test_it_is_found_in_any_folder(self, table):
        path = table.folders["forged"] / "splits" / "people.parquet"
        Split("people", {}).write(path)
        assert find_split("people", table) == path

    def test_two_of_one_name_are_refused(self, table):
        for folder in table.folders.values():
            Split("people", {}).write(folder / "splits" / "people.parquet")
        with pytest.raises(UsageError, match="two folders have a split people"):
            find_split("people", table)
