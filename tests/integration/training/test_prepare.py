"""`fimq train prepare`, from files on disk to a table of crops."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import awkward
import miniature
from extras import need

need("tensorflow", extra="training")

from fimq.errors import (
    ClassEmpty,
    CropsDiffer,
    DatasetMissing,
    DiskFull,
    PrepareRunning,
    UsageError,
)
from fimq_training.commands.train import train
from fimq_training.crops.journal import Journal
from fimq_training.crops.pictures import picture
from fimq_training.crops.table import CropTable
from fimq_worker.vision.analysis import AnalysisOptions, analyse_span
from fimq_worker.vision.container import open_video
from fimq_worker.vision.faces.full_range import FullRangeFinder
from fimq_worker.vision.sampler.base import Sampling
from fimq_worker.vision.sampler.sparse import Sparse

FRAMES = awkward.FRAMES  # a film of 40: with every 25th frame two samples


@pytest.fixture(autouse=True)
def _models(face_models, monkeypatch):
    monkeypatch.setenv("FIMQ_FACE_MODELS_DIR", str(face_models))


@pytest.fixture(scope="session")
def still(tmp_path_factory):
    path = tmp_path_factory.mktemp("still") / "face.jpg"
    awkward.still(quality=95)(path)
    return path.read_bytes()


@pytest.fixture
def films(tmp_path):
    """A folder of two classes: twelve films, each its own file."""
    root = tmp_path / "films"
    paths = [f"{kind}/{number}.mp4" for kind in ("real", "swapped") for number in range(6)]
    miniature.put(root, paths, awkward.film_bytes())
    return root


@pytest.fixture
def film(tmp_path):
    """A folder of one class with one film."""
    root = tmp_path / "film"
    miniature.put(root, ["real/0.mp4"], awkward.film_bytes())
    return root


def call(*arguments):
    arguments = (*arguments, *(() if "--jobs" in arguments else ("--jobs", 1)))
    return CliRunner().invoke(train, ["prepare", *map(str, arguments)], catch_exceptions=False)


def of_classes(root, out, *more):
    return call("folder", root, out, "--manipulated", "swapped", *more)


def summary_of(out):
    return json.loads((out / "dataset.json").read_text())


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


def test_a_kill_in_mid_run_changes_nothing_in_the_end(films, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    of_classes(films, whole)
    command = [sys.executable, "-m", "fimq_api", "train", "prepare", "folder", films, broken]
    journal = broken / "journal" / "1of1.jsonl"
    process = subprocess.Popen(
        [*map(str, command), "--manipulated", "swapped", "--jobs", "1"],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 3):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = journal.read_bytes().count(b"\n")
    assert 3 <= done < 12
    assert not (broken / "crops.parquet").exists()
    with journal.open("ab") as lines:
        lines.write(b'{"path": "real/5.mp4", "cro')  # what a kill in mid-write leaves
    times = {path: path.stat().st_mtime_ns for path in _crops_of(journal, broken)}
    result = of_classes(films, broken)
    assert result.exit_code == 0, result.output
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert CropTable.read(broken).crops == CropTable.read(whole).crops
    assert CropTable.read(broken).fingerprint == CropTable.read(whole).fingerprint
    assert summary_of(broken) == summary_of(whole)


def _crops_of(journal, out):
    lines = [line for line in journal.read_bytes().splitlines() if line.endswith(b"}")]
    return [out / crop["file"] for line in lines for crop in json.loads(line)["crops"]]


def test_shards_give_one_table_and_the_last_one_writes_it(films, tmp_path):
    whole, shared = tmp_path / "whole", tmp_path / "shared"
    of_classes(films, whole, "--jobs", 2)
    for number in (2, 3):
        result = of_classes(films, shared, "--shard", f"{number}/3")
        assert "are left to others" in result.stdout
        assert not (shared / "crops.parquet").exists()
    result = of_classes(films, shared, "--shard", "1/3")
    assert "24 crops of 12 files" in result.stdout
    assert CropTable.read(shared).crops == CropTable.read(whole).crops
    assert summary_of(shared) == summary_of(whole)
    counts = [(shared / "journal" / f"{n}of3.jsonl").read_bytes().count(b"\n") for n in (1, 2, 3)]
    assert sum(counts) == 12
    assert all(counts)


def test_a_shard_is_made_by_one_at_a_time(films, tmp_path):
    out = tmp_path / "out"
    with Journal.open(out, "1of1"), pytest.raises(PrepareRunning, match="1of1"):
        of_classes(films, out)
    assert of_classes(films, out).exit_code == 0


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


def test_a_file_at_which_the_decoder_died_is_tried_again_by_the_same_command(
    film, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    monkeypatch.setenv("FIMQ_MAX_EXECUTIONS", "2")
    monkeypatch.setenv("FIMQ_CHILD_MEMORY", str(2**28))  # too little to load the face model
    with pytest.raises(ClassEmpty):
        call("folder", film, out)
    (bad,) = summary_of(out)["bad"]
    assert bad["code"] in {"decoder_memory", "decoder_crash"}
    monkeypatch.delenv("FIMQ_CHILD_MEMORY")
    call("folder", film, out)
    assert summary_of(out)["bad"] == []


def test_a_full_disk_costs_nothing_that_was_made(films, tmp_path):
    out = tmp_path / "out"
    full = out / "faces/swapped/5.mp4/000025-0.png"
    full.parent.mkdir(parents=True)
    full.symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        of_classes(films, out, "--jobs", "1")
    journal = out / "journal" / "1of1.jsonl"
    kept = journal.read_bytes()
    assert kept.count(b"\n") == 11
    full.unlink()
    (out / "crops.parquet.part").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        of_classes(films, out)
    (out / "crops.parquet.part").unlink(missing_ok=True)
    assert of_classes(films, out).exit_code == 0
    assert journal.read_bytes().startswith(kept)
    assert len(CropTable.read(out)) == 24


def test_a_crop_that_has_gone_is_made_again(film, tmp_path):
    out = tmp_path / "out"
    call("folder", film, out)
    before = CropTable.read(out)
    gone = before.path(before.crops[1])
    gone.unlink()
    call("folder", film, out)
    assert gone.is_file()
    assert CropTable.read(out).fingerprint == before.fingerprint


@pytest.mark.parametrize("shards", [(("--shard", "1/2"), ("--shard", "2/2")), ((),)])
def test_a_file_that_cannot_be_made_again_has_no_crops_in_the_table(tmp_path, shards):
    """Whichever shard made it at first: the last word on it is that it is bad."""
    root, out = tmp_path / "films", tmp_path / "out"
    miniature.put(root, ["real/0.mp4", "real/1.mp4"], awkward.film_bytes())
    for shard in shards:
        call("folder", root, out, *shard)
    table = CropTable.read(out)
    assert len(table) == 4
    table.path(table.crops[0]).unlink()
    (root / "real/0.mp4").write_bytes(b"no film")
    for _ in range(2):
        assert call("folder", root, out).exit_code == 0
        table = CropTable.read(out)
        assert {crop.video for crop in table.crops} == {"real/1.mp4"}
        assert all(table.path(crop).is_file() for crop in table.crops)
        assert [bad["file"] for bad in summary_of(out)["bad"]] == ["real/0.mp4"]
    (root / "real/0.mp4").write_bytes(awkward.film_bytes())
    call("folder", root, out)
    assert len(CropTable.read(out)) == 4


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


def test_a_spoilt_line_of_the_journal_costs_one_file(films, tmp_path):
    out = tmp_path / "out"
    of_classes(films, out)
    before = CropTable.read(out)
    journal = out / "journal" / "1of1.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[4] = b"\0" * 100 + b"\n"
    lines[7] = b'{"path": "real/0.mp4"}\n'
    journal.write_bytes(b"".join(lines))
    of_classes(films, out)
    assert len(journal.read_bytes().splitlines()) == 14
    assert CropTable.read(out).fingerprint == before.fingerprint


def test_who_is_alone_gives_the_largest_face_and_others_all_unless_told(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    pair = replace(awkward.FILM, width=2 * awkward.WIDTH, content=awkward.two_persons)
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
