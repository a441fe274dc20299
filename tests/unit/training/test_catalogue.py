import pytest

from fimq_training.datasets.catalogue import SOURCES, Catalogue, Entry


@pytest.fixture
def catalogue(tmp_path):
    rows = ["folder,file,identity_id"]
    rows += [f"portraits/canada,p{i}.jpg,person_{i}" for i in range(400)]
    rows += [f"videos/speakers_grid,v{i}.mp4,person_{i}" for i in range(100)]
    rows += ["videos/heads_and_groups,two.mp4,person_1;person_2"]
    rows += ["videos/heads_and_groups,nobody.mp4,"]
    rows += ["somewhere/else,x.jpg,person_500"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    return Catalogue.read(tmp_path)


def test_nobody_is_on_both_sides(catalogue):
    def people(*, held_out):
        entries = [*catalogue.portraits(held_out=held_out), *catalogue.clips(held_out=held_out)]
        return {entry.people[0] for entry in entries}

    assert people(held_out=True)
    assert not people(held_out=True) & people(held_out=False)


def test_those_on_video_are_held_out_more_often(catalogue):
    share = len(catalogue.clips(held_out=True)) / 100
    portraits = [e for e in catalogue.portraits(held_out=True) if int(e.people[0][7:]) >= 100]
    assert 0.25 < share < 0.55
    assert 0.05 < len(portraits) / 300 < 0.17


def test_those_who_share_a_clip_are_held_out(catalogue):
    assert catalogue.is_held_out("person_1")
    assert catalogue.is_held_out("person_2")


def test_clips_of_several_or_of_nobody_are_left_out(catalogue):
    names = {entry.path.name for side in (True, False) for entry in catalogue.clips(held_out=side)}
    assert not names & {"two.mp4", "nobody.mp4"}


def test_folders_without_a_known_licence_are_left_out(catalogue):
    assert {entry.folder for entry in catalogue.entries} <= set(SOURCES)


def test_the_split_does_not_move_when_people_are_added():
    alone = Catalogue([Entry("portraits/canada", "a.jpg", ("canada_0001",))])
    assert not alone.is_held_out("canada_0001")
