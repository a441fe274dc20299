"""Labels of whole videos: what fits, and what is named by its line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fimq.errors import LabelsUnfit
from fimq_training.evaluation.labels import Label, Labels, drawn, groups


def labels(tmp_path: Path, text: str, name: str = "labels.csv") -> Labels:
    path = tmp_path / name
    path.write_text(text)
    return Labels.read(path)


def faults(found: Labels) -> list[str]:
    return [str(fault) for fault in found.faults]


def test_words_and_names_of_methods_are_labels(tmp_path):
    found = labels(
        tmp_path,
        "file,label,method,source,identity,compression\n"
        "a.mp4,Real,,Youtube,ann,c23\n"
        "./b.mp4,manipulated,MyGAN,,ann;bob,\n"
        "c/d.mp4,faceswap,,,,\n",
    )
    assert found.faults == ()
    assert found.rows == [
        Label("a.mp4", False, None, "Youtube", ("ann",), "c23"),
        Label("b.mp4", True, "MyGAN", None, ("ann", "bob"), None),
        Label("c/d.mp4", True, "FaceSwap"),
    ]
    assert [label.unit for label in found.rows] == ["ann", "ann", "/c/d.mp4"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("a.mp4,,", "a.mp4: no label"),
        (",real,", "a label, real without a file"),
        ("a.mp4,reel,", "'reel' is neither real nor manipulated nor a known method"),
        ("a.mp4,real,Deepfakes", "a real video with a method, Deepfakes"),
        ("a.mp4,FaceSwap,Deepfakes", "FaceSwap by its label, Deepfakes by its method"),
        ("/a.mp4,real,", "no path below"),
        ("x/../../a.mp4,real,", "no path below"),
        ("a.mp4,real,,,", "more fields than there are columns"),
        ("./kept.mp4,real,", "kept.mp4 a second time, after line 2"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path, line, fault):
    found = labels(tmp_path, f"file,label,method\nkept.mp4,real,\n{line}\n")
    (said,) = faults(found)
    assert said.startswith("line 3: ")
    assert fault in said
    with pytest.raises(LabelsUnfit, match=r"labels\.csv, line 3: "):
        found.stop(partial=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,class\na.mp4,real\n", "no column label"),
        ("file,label,metod\na.mp4,real,x\n", "'metod' that means nothing"),
        ("file,label\n", "names no videos"),
        ('file,label\n"a.mp4,real\n', "not a CSV file"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, said):
    with pytest.raises(LabelsUnfit, match=said):
        labels(tmp_path, text)


def test_labels_without_a_video_can_be_left_out(tmp_path):
    found = labels(tmp_path, "file,label\na.mp4,real\nb.mp4,real\n").among(["a.mp4"], "video")
    assert faults(found) == ["line 3: b.mp4: no such video"]
    with pytest.raises(LabelsUnfit):
        found.stop(partial=False)
    found.stop(partial=True)
    assert [label.file for label in found.rows] == ["a.mp4"]
    with pytest.raises(LabelsUnfit, match="leaves no video"):
        found.among([], "video").stop(partial=True)


def test_nobody_and_nothing_of_validation_is_measured(tmp_path):
    other = labels(tmp_path, "file,label,identity\nv.mp4,real,ann;bob\n", "validation.csv")
    text = "file,label,identity\nv.mp4,real,\na.mp4,Deepfakes,cid;bob\nb.mp4,real,cid\n"
    found = labels(tmp_path, text).without(other)
    assert faults(found) == [
        "line 2: v.mp4 is in validation.csv too",
        "line 3: bob, who is seen, is seen in validation.csv too",
    ]
    assert [label.file for label in found.rows] == ["b.mp4"]


PEOPLE = st.lists(st.sampled_from("abcdefghijkl"), max_size=2, unique=True)


@given(st.lists(PEOPLE, max_size=30), st.floats(0.01, 0.99))
def test_a_share_is_drawn_by_people(cast, share):
    rows = [Label(f"{n}.mp4", False, identities=tuple(who)) for n, who in enumerate(cast)]
    validation, test = drawn(rows, share)
    assert sorted(label.file for label in validation + test) == sorted(r.file for r in rows)
    assert len(validation) <= share * len(rows)
    people = [{who for label in side for who in label.identities} for side in (validation, test)]
    assert people[0].isdisjoint(people[1])
    backwards, _ = drawn(rows[::-1], share)
    assert {label.file for label in backwards} == {label.file for label in validation}


def test_who_is_seen_together_stays_together():
    rows = [
        Label(name, False, identities=who)
        for name, who in zip("1234", [("a", "b"), ("c",), ("b", "d"), ()], strict=True)
    ]
    assert [[label.file for label in group] for group in groups(rows)] == [["1", "3"], ["2"], ["4"]]


def test_names_with_commas_and_lines_are_read(tmp_path):
    path = tmp_path / "labels.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([("label", "file"), ("real", "a, b\nc.mp4")])
    assert [label.file for label in Labels.read(path).rows] == ["a, b\nc.mp4"]
