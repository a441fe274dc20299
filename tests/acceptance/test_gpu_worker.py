"""A worker for a GPU: without one, with one on paper, and with one that is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

import gpu_worker
from awkward import FILM
from installation import Installation, until

REASON = "no NVIDIA driver is loaded on this machine"


@contextmanager
def worker_with(installation: Installation, gpu: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with a card on paper, in the foreground."""
    said = installation.folder / f"{gpu}.txt"
    with said.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, gpu_worker.__file__, "--slots", "2"],
            env=installation.environment | {"PAPER_GPU": gpu},
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: "worker ready" in said.read_text() or process.poll(), "the worker")
        yield process
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def film(installation: Installation) -> Path:
    return FILM.write(installation.folder / "film.mp4")


def test_without_a_gpu_the_next_runtime_judges_and_log_result_and_doctor_tell_it_once(
    installation: Installation, film: Path
) -> None:
    if find_spec("tensorrt_rtx") is None:
        assert not os.environ.get("CI"), ".ci/run installs it"
        pytest.skip("the extra `tensorrt-rtx` is not installed")
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    (document,) = installation.judge(film)
    assert document["counts"]["faces_scored"] > 0
    assert document["runtime"]["name"] == "openvino"
    assert document["runtime"]["refused"] == [{"name": "tensorrt-rtx", "reason": REASON}]

    lines = [line for line in installation.log().splitlines() if "tensorrt" in line]
    assert len(lines) == 1, lines
    assert "warning" in lines[0]
    assert "runtime_refused" in lines[0]
    assert REASON in lines[0]

    found = json.loads(installation.run("doctor", "--json").stdout)
    (told,) = [each for each in found if each["what"] == "tensorrt-rtx"]
    assert (told["state"], told["says"]) == ("note", REASON)
    assert [each["what"] for each in found if REASON in each["says"]] == ["tensorrt-rtx"]
    (judge,) = [each for each in found if each["what"] == "runtime"]
    assert (judge["state"], judge["says"]) == ("ok", "auto: openvino judges")
    (others,) = [each for each in found if each["what"] == "other runtimes"]
    assert re.fullmatch(r"not installed: tensorrt(, onnxruntime-cuda)?", others["says"])


def test_with_a_gpu_it_judges_in_half_precision_and_keeps_its_engine(
    installation: Installation, film: Path
) -> None:
    installation.run("list")
    with worker_with(installation, "ok"):
        (document,) = installation.judge(film)
    assert document["state"] == "done"
    runtime = document["runtime"]
    assert (runtime["name"], runtime["precision"], runtime["refused"]) == (
        "tensorrt-rtx",
        "f16",
        [],
    )
    (engine,) = (installation.data_dir / "engines").glob("*.engine")
    assert engine.name.startswith("tensorrt-rtx_sm89_f16_")


def test_a_worker_whose_gpu_is_lost_ends_and_another_one_goes_on(
    installation: Installation, film: Path
) -> None:
    installation.run("list")
    with worker_with(installation, "lost") as worker:
        (job,) = installation.documents("submit", film)
        until(lambda: worker.poll() is not None, "the worker's end")
        assert worker.returncode == 1
    said = (installation.folder / "lost.txt").read_text()
    assert said.count("the GPU is lost") == 1
    assert "grace time over" not in said
    (step,) = installation.steps(job["job_id"])
    assert (step.state, step.executions) == ("ready", 0)
    assert step.losses >= 1
    with worker_with(installation, "ok"):
        assert installation.run("watch", job["job_id"]).returncode == 0
    assert installation.job(job["job_id"]).state == "done"
