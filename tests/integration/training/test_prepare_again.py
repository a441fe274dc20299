"""`fimq train prepare` that was stopped, shared or spoilt: the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import awkward
import miniature
from extras import need

need("tensorflow", extra="training")

from fimq.errors import ClassEmpty, DiskFull, PrepareRunning
from fimq_training.crops.journal import Journal
from fimq_training.crops.table import CropTable
from preparing import call, of_classes, summary_of

pytestmark = pytest.mark.usefixtures("face_models_here")


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
