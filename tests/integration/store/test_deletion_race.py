"""Deleting a video while the same bytes are submitted: no job is left without them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fimq.errors import DeletedMeanwhile, StoreMissing
from fimq.intake import take_in
from fimq.ledger import completion, deletion, reading, submission
from fimq.ledger.database import Ledger
from fimq.ledger.submission import Request
from fimq.store.base import Store, open_store

MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + b"\x00\x9f" * 64
ROUNDS = 25


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(f"file://{tmp_path / 'store'}", make=True)
    return open_store(request.getfixturevalue("bucket").url)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(MP4)
    return path


def submitted(ledger: Ledger, store: Store, clip: Path, tenant: str = "default") -> str:
    """As `fimq submit` does it."""
    while True:
        content = take_in(clip, store, limit=2000)
        try:
            return submission.submit(
                ledger, content, Request(), tenant=tenant, kept=store.has
            ).job_id
        except DeletedMeanwhile:
            continue


def ended(ledger: Ledger, store: Store, clip: Path) -> str:
    job_id = submitted(ledger, store, clip)
    completion.cancel(ledger, job_id)
    return job_id


def bytes_of(ledger: Ledger, store: Store, job_id: str) -> bytes:
    with ledger.read() as session:
        video = reading.record(session, job_id).video
    with store.open(video.store_key, video.sha256) as source:
        return source.read()


def test_a_deletion_between_the_copy_and_the_job_is_noticed(ledger, store, clip) -> None:
    old = ended(ledger, store, clip)
    content = take_in(clip, store, limit=2000)
    deletion.delete(ledger, old, remove=store.delete)
    with pytest.raises(DeletedMeanwhile):
        submission.submit(ledger, content, Request(), kept=store.has)
    assert bytes_of(ledger, store, submitted(ledger, store, clip)) == MP4


@pytest.mark.parametrize("tenant", ["default", "other"])
def test_submits_and_deletions_at_once_leave_every_job_its_bytes(
    ledger, store, clip, tenant
) -> None:
    for _ in range(ROUNDS):
        old = ended(ledger, store, clip)
        start = threading.Barrier(3)
        made: list[str] = []

        def submit(start: threading.Barrier = start, made: list[str] = made) -> None:
            start.wait()
            made.append(submitted(ledger, store, clip, tenant))

        def delete(start: threading.Barrier = start, old: str = old) -> None:
            start.wait()
            deletion.delete(ledger, old, remove=store.delete)

        threads = [threading.Thread(target=work) for work in (submit, submit, delete)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 2
        for job_id in made:
            assert bytes_of(ledger, store, job_id) == MP4
            completion.cancel(ledger, job_id)
        key = take_in(clip, store, limit=2000).store_key
        for job_id in made:
            deletion.delete(ledger, job_id, remove=store.delete)
        assert not store.has(key), "the last deletion left the bytes"


def test_without_the_look_the_race_would_lose_bytes(ledger, store, clip) -> None:
    """The test above can fail: this is what it watches for."""
    old = ended(ledger, store, clip)
    content = take_in(clip, store, limit=2000)
    deletion.delete(ledger, old, remove=store.delete)
    job_id = submission.submit(ledger, content, Request()).job_id
    with pytest.raises(StoreMissing):
        bytes_of(ledger, store, job_id)
