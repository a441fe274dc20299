"""Crops of a data set, cut by real workers: nothing is lost, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import awkward
import miniature
from extras import need
from fimq.ledger.tables import Job, Step
from installation import Installation, until

need("tensorflow", extra="training")


def test_a_worker_and_who_asked_are_killed_and_the_table_is_that_of_this_machine(
    installation: Installation, face_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fimq_training.commands.train import train
    from fimq_training.crops.table import CropTable

    root, out, whole = (installation.folder / name for name in ("films", "out", "whole"))
    miniature.put(root, ["real/0.mp4", "swapped/1.mp4"], awkward.film_bytes())
    replace(awkward.FILM, frames=120).write(root / "real/long.mp4")

    def prepare(out: Path, *more: str) -> tuple[str | Path, ...]:
        options = ("--manipulated", "swapped", "--every", "4", *more)
        return ("train", "prepare", "folder", root, out, *options)

    installation.environment["FIMQ_LEASE_SECONDS"] = "2"
    installation.run("list")  # which makes the ledger
    asking = installation.start(*prepare(out, "--queue"))
    until(lambda: any(step.progress for step in installation.rows(Step, kind="cut")), "a cut")
    os.kill(installation.worker_pid or 0, signal.SIGKILL)
    asking.kill()
    asking.communicate()
    assert not (out / "crops.parquet").exists()

    ran = installation.run(*prepare(out, "--queue"))
    assert ran.returncode == 0, ran.stderr + installation.log()
    monkeypatch.setenv("FIMQ_FACE_MODELS_DIR", str(face_models))
    local = [str(word) for word in prepare(whole, "--jobs", "1")[1:]]
    assert CliRunner().invoke(train, local, catch_exceptions=False).exit_code == 0
    here, there = CropTable.read(whole), CropTable.read(out)
    assert there.crops == here.crops
    assert len(there) == 50
    assert there.fingerprint == here.fingerprint
    log = installation.log()
    assert len(set(re.findall(r"step claimed.*job_id=(\S+)", log))) == 3
    assert re.search(r"step claimed.*kind=cut.*fence=2", log)
    assert installation.rows(Job) == []
    assert not [path for path in (installation.data_dir / "store").rglob("*") if path.is_file()]
