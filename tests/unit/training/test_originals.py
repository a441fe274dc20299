from dataclasses import replace

import pytest

from extras import need

need("pyarrow", extra="training")

from crop_folder import crop
from fimq_training.crops.originals import Originals
from fimq_training.crops.table import CropTable


def real(name, **facts):
    return replace(crop(name, manipulated=False, collection="Youtube"), **facts)


def fake(target, **facts):
    made = crop(f"{target}_of", manipulated=True, collection="Deepfakes")
    return replace(made, target=target, **facts)


@pytest.mark.parametrize(
    ("video", "identities", "target"),
    [
        ("original_sequences/youtube/c23/videos/000.mp4", ("000",), "000"),
        ("Celeb-real/id0_0000.mp4", ("celebdf_id0",), "id0_0000"),
        ("dfdc_train_part_0/aaaa.mp4", ("dfdc_aaaa.mp4",), "aaaa.mp4"),
        ("original_sequences/actors/c23/videos/01__talking.mp4", ("actor_01",), "01__talking"),
        ("portraits/anna.jpg#7-real", ("anna",), "anna"),
    ],
    ids=["faceforensics", "celeb-df", "dfdc", "deepfakedetection", "forged"],
)
def test_a_target_is_found_as_each_data_set_names_it(video, identities, target):
    its = real("its", video=video, identities=identities)
    others = [real("other", video="x/other.mp4", identities=("other",))]
    assert Originals(CropTable([its, *others])).of(fake(target)) == its


def test_the_nearest_frame_is_taken_and_then_the_nearest_face():
    crops = [
        real("far", identities=("a",), frame=0),
        real("left", identities=("a",), frame=50, x=10.0),
        real("right", identities=("a",), frame=50, x=400.0),
    ]
    found = Originals(CropTable(crops)).of(fake("a", frame=49, x=390.0))
    assert found is not None
    assert found.video == "right.mp4"


def test_one_that_is_far_away_is_none():
    crops = CropTable([real("a", identities=("a",), frame=0)])
    assert Originals(crops).of(fake("a", frame=25)) is not None
    assert Originals(crops).of(fake("a", frame=26)) is None


@pytest.mark.parametrize(
    "facts",
    [{"compression": "c40"}, {"dataset": "another"}, {"target": "b"}, {"target": None}],
    ids=lambda facts: next(iter(facts)),
)
def test_nothing_else_passes_for_an_original(facts):
    table = CropTable([real("a", identities=("a",), compression="c23")])
    made = fake("a", compression="c23")
    assert Originals(table).of(made) is not None
    assert Originals(table).of(replace(made, **facts)) is None
