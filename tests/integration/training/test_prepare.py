"""`fimq train prepare`, from files on disk to a table of crops."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import awkward
import miniature
import portraits
from extras import need

need("tensorflow", extra="training")

from fimq.errors import (
    ClassEmpty,
    CropsDiffer,
    DatasetMissing,
    UsageError,
)
from fimq_training.crops.pictures import picture
from fimq_training.crops.table import CropTable
from fimq_worker.vision.analysis import AnalysisOptions, analyse_span
from fimq_worker.vision.container import open_video
from fimq_worker.vision.faces.full_range import FullRangeFinder
from fimq_worker.vision.sampler.base import Sampling
from fimq_worker.vision.sampler.sparse import Sparse
from preparing import call, of_classes, summary_of

pytestmark = pytest.mark.usefixtures("face_models_here")


@pytest.fixture(scope="session")
def still(tmp_path_factory):
    path = tmp_path_factory.mktemp("still") / "face.jpg"
    awkward.still(quality=95)(path)
    return path.read_bytes()


@pytest.mark.parametrize("name", sorted(miniature.TREES))
def test_every_layout_becomes_a_table(name, tmp_path, still):
    root, out = tmp_path / "root", tmp_path / "out"
    miniature.TREES[name](root, awkward.film_bytes(), still)
    more = ("--manipulated", "swapped") if name == "folder" else ()
    result = call(name, root, out, *more)
    assert result.exit_code == 0, result.output
    table, summary = CropTable.read(out), summary_of(out)
    assert summary["crops"] == len(table) > 0
    assert summary["fingerprint"] == table.fingerprint
    assert (summary["bad"], summary["without_face"], summary["coverage"]) == ([], [], 1.0)
    for crop in table.crops:
        content = table.path(crop).read_bytes()
        assert hashlib.sha256(content).hexdigest() == crop.sha256
        assert picture(table, crop, 128).shape == (128, 128, 3)
        assert crop.file == f"faces/{crop.video}/{crop.frame:06d}-{crop.ordinal}.png"
    films = [crop for crop in table.crops if crop.video.endswith(".mp4")]
    assert {crop.frame for crop in films} == ({0, 25} if films else set())
    assert {crop.codec for crop in films} <= {"h264"}
    stills = [crop for crop in table.crops if crop.video.endswith(".jpg")]
    assert {(crop.codec, crop.frame, crop.pts, crop.time_s) for crop in stills} <= {
        ("jpeg", 0, None, None)
    }


def test_crops_are_those_that_a_worker_cuts(film, tmp_path, face_models):
    call("folder", film, tmp_path / "out")
    finder = FullRangeFinder(face_models / "face_detection_full_range_sparse.tflite", 48)
    with open_video(film / "real/0.mp4") as container:
        samples = list(
            analyse_span(container, None, finder, AnalysisOptions(Sampling("every", 25)), Sparse())
        )
    table = CropTable.read(tmp_path / "out")
    rows = table.crops
    assert [row.frame for row in rows] == [sample.frame_index for sample in samples] == [0, 25]
    for row, sample in zip(rows, samples, strict=True):
        (face,) = sample.faces
        assert np.array_equal(picture(table, row, 128), face.crop)
        assert (row.x, row.y, row.width, row.height) == (
            face.box.x,
            face.box.y,
            face.box.width,
            face.box.height,
        )
        assert (row.pts, row.time_s) == (sample.pts, sample.time_s)


def test_bad_files_are_counted_and_named_and_stop_nothing(films, tmp_path):
    out = tmp_path / "out"
    (films / "real/1.mp4").write_bytes(awkward.film_bytes()[:500])
    (films / "real/2.mp4").write_bytes(b"")
    (films / "real/3.mp4").write_bytes(b"<html>not found</html>")
    (films / "real/4.mp4").unlink()
    os.mkfifo(films / "real/4.mp4")
    Path(os.fsdecode(bytes(films / "real") + b"/\xff\n.mp4")).write_bytes(awkward.film_bytes())
    (films / "swapped/5.mp4").write_bytes(awkward.film_bytes(face=False))
    result = of_classes(films, out)
    assert result.exit_code == 0, result.output
    summary = summary_of(out)
    assert {bad["file"]: bad["code"] for bad in summary["bad"]} == {
        "real/1.mp4": "truncated",
        "real/2.mp4": "empty_file",
        "real/3.mp4": "not_a_video",
        "real/4.mp4": "not_a_file",
        "real/\udcff\n.mp4": "not_readable",
    }
    assert summary["without_face"] == ["swapped/5.mp4"]
    assert summary["coverage"] == 7 / 8
    assert "bad: real/3.mp4  " in result.stderr
    assert "[not_a_video]" in result.stderr
    assert "bad: real/\ufffd\\n.mp4  Its name is not UTF-8" in result.stderr
    assert "13 of 13 files  14 faces  5 bad" in result.stderr

    # A mended file is looked at again; what was bad and is so still is not.
    (films / "real/1.mp4").write_bytes(awkward.film_bytes())
    journal = out / "journal" / "1of1.jsonl"
    before = journal.read_bytes().count(b"\n")
    of_classes(films, out)
    assert journal.read_bytes().count(b"\n") == before + 1
    assert len(CropTable.read(out)) == 16


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--every", "10"), "every 25, not 10"),
        (("--size", "64"), "size 128, not 64"),
        (("--largest",), "largest nothing, not True"),
        (("--manipulated", "real"), "manipulated swapped, not real, swapped"),
        (("--name", "mine"), "dataset folder, not mine"),
    ],
)
def test_other_options_need_another_folder(more, said, films, tmp_path):
    out = tmp_path / "out"
    of_classes(films, out, "--shard", "1/12")
    with pytest.raises(CropsDiffer, match=said):
        of_classes(films, out, *more)


def test_other_settings_need_another_folder_too(films, tmp_path, monkeypatch):
    out = tmp_path / "out"
    of_classes(films, out, "--shard", "1/12")
    monkeypatch.setenv("FIMQ_MIN_FACE", "60")
    with pytest.raises(CropsDiffer, match="min_face 48, not 60"):
        of_classes(films, out)


def test_frames_are_spread_over_a_video(film, tmp_path):
    call("folder", film, tmp_path / "out", "--frames", "4", "--size", "32")
    table = CropTable.read(tmp_path / "out")
    assert {crop.frame for crop in table.crops} == {0, 10, 20, 30}
    assert {crop.size for crop in table.crops} == {32}


def test_who_is_alone_gives_the_largest_face_and_others_all_unless_told(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    pair = replace(awkward.FILM, width=2 * portraits.WIDTH, content=portraits.two_persons)
    pair.write(root / "one.mp4")
    (root / "two.mp4").write_bytes((root / "one.mp4").read_bytes())
    (root / "manifest.csv").write_text("file,manipulated,alone\none.mp4,0,1\ntwo.mp4,0,0\n")

    def counts(out, *more):
        call("csv", root, tmp_path / out, *more)
        rows = CropTable.read(tmp_path / out).crops
        return [sum(crop.video == name for crop in rows) for name in ("one.mp4", "two.mp4")]

    assert counts("as known") == [2, 4]
    assert counts("largest", "--largest") == [2, 2]
    assert counts("all", "--all-faces") == [4, 4]


def test_a_long_video_is_cut_into_parts_with_the_same_crops(film, tmp_path, monkeypatch):
    call("folder", film, tmp_path / "whole", "--every", "5")
    monkeypatch.setenv("FIMQ_SEGMENT_SECONDS", "0.5")
    call("folder", film, tmp_path / "parts", "--every", "5")
    assert len(CropTable.read(tmp_path / "parts")) == 8
    assert CropTable.read(tmp_path / "parts").crops == CropTable.read(tmp_path / "whole").crops


def test_a_dry_run_says_what_there_is_and_makes_nothing(tmp_path):
    miniature.ffpp(tmp_path / "root")
    result = call("ffpp", tmp_path / "root", tmp_path / "out", "--dry-run")
    line = next(line for line in result.stdout.splitlines() if line.startswith("Deepfakes"))
    assert line.split() == ["Deepfakes", "c23", "fake", "2", "videos,", "2", "people", "known"]
    assert not (tmp_path / "out").exists()


def test_no_face_in_any_file_is_told(tmp_path):
    miniature.put(tmp_path / "root", ["real/1.mp4"], awkward.film_bytes(face=False))
    with pytest.raises(ClassEmpty, match="No face in any of 1 files"):
        call("folder", tmp_path / "root", tmp_path / "out")
    assert summary_of(tmp_path / "out")["without_face"] == ["real/1.mp4"]


def test_what_cannot_be_meant_is_refused(films, tmp_path):
    with pytest.raises(UsageError, match="--every and --frames"):
        of_classes(films, tmp_path / "out", "--every", "5", "--frames", "5")
    with pytest.raises(UsageError, match="lies in"):
        of_classes(films, films / "crops")
    with pytest.raises(UsageError, match="Deepfake:"):
        call("ffpp", films, tmp_path / "out", "--methods", "Deepfake")
    with pytest.raises(DatasetMissing, match="original_sequences"):
        call("ffpp", films, tmp_path / "out")
    for shard in ("0/2", "3/2", "1", "a/b"):
        assert of_classes(films, tmp_path / "out", "--shard", shard).exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.realdata
def test_real_clips_are_prepared(tmp_path):
    data = os.environ.get("FIMQ_TEST_DATA")
    if not data:
        pytest.skip("FIMQ_TEST_DATA is not set")
    lines = ["file,manipulated,identities,alone"]
    clips = sorted(Path(data).glob("videos/speakers_grid/*"))[:4]
    lines += [f"{clip.relative_to(data).as_posix()},0,{clip.stem[:9]},1" for clip in clips]
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    call("csv", data, tmp_path / "out", "--manifest", tmp_path / "manifest.csv")
    summary = summary_of(tmp_path / "out")
    assert (summary["files"], summary["bad"], summary["coverage"]) == (4, [], 1.0)
    assert summary["crops"] == 12
