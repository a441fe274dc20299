"""Data sets: what the reader of each layout says of it, and how it says that something lacks."""

import json
from pathlib import Path

import pytest

import miniature
from fimq.errors import (
    ClassEmpty,
    DatasetIncomplete,
    DatasetInvalid,
    DatasetMissing,
    UsageError,
)
from fimq_training.commands.prepare import NAMES
from fimq_training.datasets.known import LAYOUTS, open_data_set

OPTIONS = {"folder": {"manipulated": ("swapped",)}}


@pytest.fixture
def tree(tmp_path):
    """Makes a miniature, and gives its root."""

    def make(name: str) -> Path:
        root = tmp_path / name
        root.mkdir()
        miniature.TREES[name](root)
        return root

    return make


def items_of(name, root, **options):
    read = open_data_set(name, root, **{**OPTIONS.get(name, {}), **options}).items()
    return {item.path: item for item in read}


def test_the_command_knows_the_layouts_that_there_are():
    assert set(NAMES) == set(LAYOUTS) == set(miniature.TREES)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
class TestDataSet:
    """What every DataSet promises."""

    def test_each_file_comes_once_in_the_order_of_paths_and_is_there(self, name, tree):
        root = tree(name)
        paths = [item.path for item in open_data_set(name, root, **OPTIONS.get(name, {})).items()]
        assert paths
        assert paths == sorted(set(paths))
        assert all((root / path).is_file() for path in paths)

    def test_a_method_is_named_exactly_where_a_file_is_manipulated(self, name, tree):
        items = items_of(name, tree(name)).values()
        assert all((item.method is not None) == item.manipulated for item in items)
        assert all(item.source is None and item.target is None for item in items if not item.method)

    def test_nobody_is_anonymous_who_is_named_in_two_ways(self, name, tree):
        items = items_of(name, tree(name)).values()
        assert all("" not in item.identities for item in items)
        assert all(
            len(item.identities) <= 1 for item in items if not item.manipulated and item.alone
        )

    def test_options_are_plain(self, name, tree):
        options = open_data_set(name, tree(name), **OPTIONS.get(name, {})).options
        assert json.loads(json.dumps(options)) == options

    def test_an_empty_folder_and_none_at_all_are_missing(self, name, tmp_path):
        with pytest.raises(DatasetMissing, match=str(tmp_path)):
            open_data_set(name, tmp_path).items()
        with pytest.raises(DatasetMissing, match="nowhere"):
            open_data_set(name, tmp_path / "nowhere")


#: What is taken away from a miniature, and what is said of it.
LACKING = {
    "ffpp": [
        ("original_sequences/youtube/c23/videos/003.mp4", r"youtube/c23/videos/003\.mp4"),
        ("manipulated_sequences/FaceSwap/c23/videos/003_000.mp4", r"FaceSwap/c23/videos/003_\*"),
    ],
    "celeba": [
        ("img_align_celeba/000002.jpg", r"000002\.jpg"),
        ("identity_CelebA.txt", r"identity_CelebA\.txt"),
    ],
    "celeba-hq": [("CelebA-HQ-img/1.jpg", r"CelebA-HQ-img/1\.jpg")],
    "celeb-df": [
        ("Celeb-real/id0_0000.mp4", r"Celeb-real/id0_0000\.mp4"),
        ("YouTube-real/00170.mp4", "YouTube-real"),
        ("List_of_testing_videos.txt", "List_of_testing_videos"),
    ],
    "dfdc": [
        ("dfdc_train_part_1/cccc.mp4", r"part_1/cccc\.mp4"),
        ("dfdc_train_part_1/metadata.json", r"part_1/metadata\.json"),
    ],
    "csv": [("some/two.mp4", r"some/two\.mp4")],
    "portraits": [("portraits/canada/one.jpg", r"portraits/canada/one\.jpg")],
}


@pytest.mark.parametrize(
    ("name", "path", "said"), [(name, *case) for name, cases in LACKING.items() for case in cases]
)
def test_a_half_copied_set_says_what_lacks_unless_a_part_is_wanted(name, path, said, tree):
    root = tree(name)
    whole = items_of(name, root)
    (root / path).unlink()
    with pytest.raises(DatasetIncomplete, match=said):
        items_of(name, root)
    part = items_of(name, root, partial=True)
    assert path not in part
    assert set(part) <= set(whole)
    assert part


def test_a_long_list_of_what_lacks_is_cut(tree):
    root = tree("celeba")
    (root / "identity_CelebA.txt").write_text("".join(f"{i}.jpg 1\n" for i in range(5000)))
    with pytest.raises(DatasetIncomplete, match="and 4,997 more"):
        items_of("celeba", root)


def test_ffpp_names_pairs_as_the_paper_and_the_official_split_do(tree):
    items = items_of("ffpp", tree("ffpp"))
    fake = items["manipulated_sequences/NeuralTextures/c23/videos/000_003.mp4"]
    assert (fake.collection, fake.method, fake.compression) == ("NeuralTextures",) * 2 + ("c23",)
    assert (fake.target, fake.source, fake.identities) == ("000", "003", ("000", "003"))
    real = items["original_sequences/youtube/c23/videos/003.mp4"]
    assert (real.collection, real.identities) == ("Youtube", ("003",))
    swapped = next(item for item in items.values() if item.collection == "DeepFakeDetection")
    assert swapped.identities == ("actor_01", "actor_02")
    assert swapped.target == "01__kitchen_still"
    assert {item.identities for item in items.values() if item.collection == "Actors"} == {
        ("actor_01",),
        ("actor_02",),
    }


def test_ffpp_takes_the_methods_and_the_compressions_that_are_asked_for(tree):
    root = tree("ffpp")
    asked = items_of("ffpp", root, methods=("FaceSwap",), compressions=("c23",)).values()
    assert {item.collection for item in asked} == {"Youtube", "FaceSwap"}
    actors = items_of("ffpp", root, methods=("DeepFakeDetection",)).values()
    assert {item.collection for item in actors} == {"Actors", "DeepFakeDetection"}
    with pytest.raises(DatasetIncomplete, match="videos of c40"):
        items_of("ffpp", root, compressions=("c23", "c40"))
    with pytest.raises(DatasetMissing, match="c40"):
        items_of("ffpp", root, compressions=("c40",))


def test_ffpp_without_a_method_that_was_asked_for_or_with_an_odd_name_is_told(tree):
    root = tree("ffpp")
    videos = root / "manipulated_sequences/FaceSwap/c23/videos"
    (videos / "000_003 (1).mp4").write_bytes(b"x")
    with pytest.raises(DatasetInvalid, match=r"000_003 \(1\)\.mp4"):
        items_of("ffpp", root)
    for video in videos.iterdir():
        video.unlink()
    videos.rmdir()
    assert "FaceSwap" not in {item.collection for item in items_of("ffpp", root).values()}
    with pytest.raises(DatasetIncomplete, match="manipulated_sequences/FaceSwap/c23"):
        items_of("ffpp", root, methods=("FaceSwap",))


def test_celeba_and_celeba_hq_name_one_person_alike(tree):
    low, high = items_of("celeba", tree("celeba")), items_of("celeba-hq", tree("celeba-hq"))
    assert low["img_align_celeba/000003.jpg"].identities == ("celeba_2880",)
    assert high["CelebA-HQ-img/0.jpg"].identities == ("celeba_2880",)


@pytest.mark.parametrize("gone", ["CelebA-HQ-to-CelebA-mapping.txt", "identity_CelebA.txt"])
def test_celeba_hq_knows_nobody_without_both_lists(gone, tree):
    root = tree("celeba-hq")
    (root / gone).unlink()
    assert all(item.identities == () for item in items_of("celeba-hq", root).values())


def test_celeb_df_knows_target_and_source(tree):
    fake = items_of("celeb-df", tree("celeb-df"))["Celeb-synthesis/id0_id1_0000.mp4"]
    assert (fake.target, fake.source) == ("id0_0000", "id1")
    assert fake.identities == ("celebdf_id0", "celebdf_id1")


def test_celeb_df_labels_that_do_not_match_are_told(tree):
    root = tree("celeb-df")
    (root / "List_of_testing_videos.txt").write_text("0 YouTube-real/00170.mp4\n")
    with pytest.raises(DatasetInvalid, match=r"00170\.mp4"):
        items_of("celeb-df", root)


def test_dfdc_keeps_a_fake_with_its_original(tree):
    items = items_of("dfdc", tree("dfdc"))
    real, fake = items["dfdc_train_part_0/aaaa.mp4"], items["dfdc_train_part_0/bbbb.mp4"]
    assert real.identities == fake.identities == ("dfdc_aaaa.mp4",)
    assert (real.manipulated, fake.manipulated, fake.target) == (False, True, "aaaa.mp4")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"aaaa.mp4": {"label": "REAL"', "not JSON"),
        ('{"aaaa.mp4": {"label": "PERHAPS"}}', "PERHAPS"),
        ('{"../aaaa.mp4": {"label": "REAL"}}', "aaaa"),
        ("[]", "labels"),
        (
            '{"a.mp4": {"label": "FAKE", "original": "b.mp4"}, "b.mp4": {"label": "FAKE"}}',
            "original",
        ),
    ],
)
def test_dfdc_metadata_that_cannot_be_right_are_told(text, said, tree):
    root = tree("dfdc")
    (root / "dfdc_train_part_0/metadata.json").write_text(text)
    with pytest.raises(DatasetInvalid, match=said):
        items_of("dfdc", root)


def test_a_folder_of_classes_labels_them_as_told(tree):
    root = tree("folder")
    items = items_of("folder", root)
    assert items["swapped/deeper/two.mp4"].method == "swapped"
    assert not items["real/three.jpg"].manipulated
    with pytest.raises(UsageError, match="swaped"):
        items_of("folder", root, manipulated=("swaped",))
    (root / "empty").mkdir()
    with pytest.raises(ClassEmpty, match="empty"):
        items_of("folder", root)


def test_a_manifest_says_what_is_known(tree):
    items = items_of("csv", tree("csv"))
    fake = items["some/two.mp4"]
    assert (fake.collection, fake.source, fake.target) == ("swap", "bert", "anna")
    assert (fake.identities, fake.compression, fake.alone) == (("anna", "bert"), "c23", False)
    assert items["one.mp4"].alone
    assert items["three.jpg"].collection == "real"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file\none.mp4\n", "no column manipulated"),
        ("file,manipulated,identites\none.mp4,0,anna\n", "identites"),
        ("file,manipulated\none.mp4,maybe\n", "line 2: 'maybe'"),
        ("file,manipulated\n../one.mp4,0\n", "below the root"),
        ("file,manipulated\n/one.mp4,0\n", "below the root"),
        ("file,manipulated\none.mp4,0\none.mp4,1\n", "twice"),
        ("file,manipulated\none.mp4,0,more\n", "more fields"),
        ("file,manipulated,method\none.mp4,0,swap\n", "a real file with a method"),
        ("\xff", "UTF-8"),
    ],
)
def test_a_manifest_that_cannot_be_right_is_told(text, said, tree):
    root = tree("csv")
    (root / "manifest.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetInvalid, match=said):
        items_of("csv", root)


def test_a_manifest_may_lie_elsewhere(tree, tmp_path):
    root = tree("csv")
    moved = (root / "manifest.csv").rename(tmp_path / "mine.csv")
    assert items_of("csv", root, manifest=moved)


def test_portraits_leave_out_folders_of_unknown_licence(tree):
    items = items_of("portraits", tree("portraits"))
    assert set(items) == {
        "portraits/canada/one.jpg",
        "videos/heads_and_groups/four.mp4",
        "videos/webcam_a/three.mp4",
    }
    group = items["videos/heads_and_groups/four.mp4"]
    assert (group.collection, group.identities, group.alone) == (
        "heads_and_groups",
        ("anna", "bert"),
        False,
    )


def test_an_option_of_another_layout_is_refused(tree):
    with pytest.raises(UsageError, match="--compression"):
        open_data_set("celeba", tree("celeba"), compressions=("c23",))


def test_the_rest_of_a_broken_copy_is_no_file(tree):
    root = tree("celeba")
    (root / "img_align_celeba/.000004.jpg.part.jpg").write_bytes(b"x")
    (root / "img_align_celeba/._000003.jpg").write_bytes(b"x")
    assert len(items_of("celeba", root)) == 3
