"""Videos in a bucket, as a user has them: the real command, a server that speaks S3."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from installation import Installation, installed
from services.s3 import Bucket
from tinymodel import write_package

PORTRAIT = "portrait.mp4"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from fimq_api.demo.clips import make_clips

    folder = tmp_path_factory.mktemp("clips")
    make_clips(folder)
    return folder / PORTRAIT


@pytest.fixture
def installation(tmp_path: Path, face_models: Path, bucket: Bucket) -> Iterator[Installation]:
    """fimq with the tiny model, a private queue, and its videos in a bucket."""
    write_package(tmp_path / "models" / "default")
    settings = {"FIMQ_STORE_URL": bucket.url, "FIMQ_CACHE_DIR": str(tmp_path / "cache")}
    with installed(tmp_path, face_models, **settings, **bucket.gateway.environment) as made:
        yield made


def test_a_video_goes_through_the_bucket_and_leaves_it_when_deleted(
    installation, bucket, clip
) -> None:
    sha256 = hashlib.sha256(clip.read_bytes()).hexdigest()
    (document,) = installation.judge(clip)
    assert document["state"] == "done", installation.log()
    assert bucket.objects() == [f"videos/{sha256[:2]}/{sha256[2:4]}/{sha256}"]
    assert not list(installation.data_dir.rglob(sha256)), "it was kept here too"
    assert (installation.folder / "cache" / sha256).read_bytes() == clip.read_bytes()

    doctor = {line["what"]: line for line in installation.documents("doctor")[0]}
    assert doctor["store"]["state"] == "ok"
    for part in (bucket.url, "127.0.0.1", "can be written", "cache"):
        assert part in doctor["store"]["says"]

    ran = installation.run("delete", document["job_id"], "--yes")
    assert ran.returncode == 0, ran.stderr
    assert bucket.objects() == []
    assert not (installation.folder / "cache" / sha256).exists()


def test_a_bucket_that_is_away_refuses_a_submit_in_one_line(installation, bucket, clip) -> None:
    bucket.gateway.fault = lambda _: (403, "AccessDenied")
    ran = installation.run("submit", clip)
    assert ran.returncode == 5
    assert "AccessDenied" in ran.stderr
    assert "[store_unusable]" in ran.stderr
    assert "test-secret" not in ran.stderr
    bucket.gateway.fault = lambda _: None


def test_a_bucket_that_is_away_for_a_moment_only_delays(installation, bucket, clip) -> None:
    # The worker asks first for the size and then for the bytes.
    answers = [(403, "AccessDenied")] * 2
    bucket.gateway.fault = lambda asked: (
        answers.pop() if asked.begins_download and answers else None
    )
    (document,) = installation.judge(clip)
    assert (document["state"], answers) == ("done", [])
    assert "store_unusable" in installation.log()


def test_in_place_needs_a_shared_folder_where_workers_are_elsewhere(
    tmp_path, face_models, clip
) -> None:
    elsewhere = {"FIMQ_BROKER_URL": "redis://127.0.0.1:1/0"}
    with installed(tmp_path, face_models, **elsewhere) as made:
        write_package(made.folder / "models" / "default")
        (refused,) = made.documents("submit", clip, "--in-place")
        assert refused["error"]["code"] == "path_not_shared"
        assert "FIMQ_SHARED_PATHS" in made.run("submit", clip, "--in-place").stderr
        made.environment["FIMQ_SHARED_PATHS"] = str(clip.parent)
        assert made.documents("submit", clip, "--in-place")[0]["state"] == "queued"
