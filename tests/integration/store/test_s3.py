"""What is particular to a bucket: its errors, its requests, and uploads that are killed."""

from __future__ import annotations

import hashlib
import io
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fimq.errors import StoreUnusable
from fimq.store import s3
from fimq.store.base import Store, StorePackageMissing, open_store
from fimq.store.content import key_of
from fimq.store.s3 import PART_BYTES
from services.s3 import Bucket

BYTES = b"some video" * 1000
SHA256 = hashlib.sha256(BYTES).hexdigest()
LONG = bytes(range(256)) * (PART_BYTES // 128) + b"the end"
LONG_SHA256 = hashlib.sha256(LONG).hexdigest()


@pytest.fixture
def store(bucket: Bucket) -> Store:
    return open_store(bucket.url)


def read(store: Store) -> bytes:
    with store.open(key_of(SHA256), SHA256) as source:
        return source.read()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "AccessDenied"),
        (403, "SignatureDoesNotMatch"),
        (404, "NoSuchBucket"),
        (503, "SlowDown"),
        (500, "InternalError"),
        (400, "ExpiredToken"),
    ],
)
def test_what_a_server_refuses_is_said_and_may_be_tried_again(
    store, bucket, monkeypatch, status, code
) -> None:
    monkeypatch.setitem(s3._CONFIG, "retries", {"total_max_attempts": 1})
    store.put(io.BytesIO(BYTES), limit=10**6)
    bucket.gateway.fault = lambda _: (status, code)
    uses = [
        lambda: read(store),
        lambda: store.put(io.BytesIO(b"other"), limit=10),
        lambda: store.put(io.BytesIO(LONG), limit=len(LONG)),
        lambda: store.delete(key_of(SHA256)),
        lambda: store.has(key_of(SHA256)),
        store.check,
        store.tidy,
    ]
    for use in uses:
        with pytest.raises(StoreUnusable, match=bucket.name) as caught:
            use()
        assert not caught.value.final
        assert "test-secret" not in caught.value.message
        assert "\n" not in caught.value.message
    bucket.gateway.fault = lambda _: None
    assert read(store) == BYTES


def test_a_server_that_is_busy_for_a_moment_is_asked_again(store, bucket) -> None:
    store.put(io.BytesIO(BYTES), limit=10**6)
    answers = [(503, "SlowDown")] * 2
    bucket.gateway.fault = lambda _: answers.pop() if answers else None
    assert read(store) == BYTES


def test_nobody_at_the_endpoint(store, monkeypatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(StoreUnusable, match="EndpointConnectionError"):
            store.check()


def test_an_endpoint_that_never_answers(store, monkeypatch) -> None:
    monkeypatch.setitem(s3._CONFIG, "read_timeout", 0.2)
    monkeypatch.setitem(s3._CONFIG, "retries", {"total_max_attempts": 1})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(StoreUnusable, match="ReadTimeoutError"):
            store.check()
        assert time.monotonic() - began < 20


def test_no_credentials_is_said(store, monkeypatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreUnusable, match="credentials"):
        store.check()


def test_a_known_video_is_not_sent_again(store, bucket) -> None:
    for _ in range(2):
        store.put(io.BytesIO(LONG), limit=len(LONG))
    assert bucket.gateway.count(lambda asked: asked.sends_part) == 3


def test_a_failing_upload_is_ended(store, bucket) -> None:
    bucket.gateway.fault = lambda asked: (
        (403, "AccessDenied") if asked.query.get("partNumber") == ["2"] else None
    )
    with pytest.raises(StoreUnusable, match="UploadPart was answered AccessDenied"):
        store.put(io.BytesIO(LONG), limit=len(LONG))
    assert (bucket.objects(), bucket.uploads()) == ([], 0)


_SUBMIT = """
import sys
from fimq.store.base import open_store
open_store(sys.argv[1]).put(open(sys.argv[2], "rb"), limit=2**40)
"""


def test_a_killed_upload_leaves_no_object_and_is_tidied_by_age(store, bucket, tmp_path) -> None:
    path = tmp_path / "long.mp4"
    path.write_bytes(LONG)
    bucket.gateway.held = lambda asked: asked.query.get("partNumber") == ["2"]
    submit = subprocess.Popen([sys.executable, "-c", _SUBMIT, bucket.url, path])
    assert bucket.gateway.waiting.wait(30)
    submit.send_signal(signal.SIGKILL)
    submit.wait()
    bucket.gateway.go.set()
    assert bucket.objects() == []
    assert not store.has(key_of(LONG_SHA256))
    assert bucket.uploads() == 1
    # The server of the tests says of every upload that it began in 2010.
    assert store.tidy(older_s=100 * 365 * 24 * 3600) == 0
    assert store.tidy() == 1
    assert bucket.uploads() == 0
    with path.open("rb") as source:
        assert store.put(source, limit=len(LONG)).sha256 == LONG_SHA256


_FORK = """
import os, sys
from fimq.store.base import open_store
store = open_store(sys.argv[1])
assert store.has(sys.argv[2])
pid = os.fork()
if pid == 0:
    os._exit(0 if store.has(sys.argv[2]) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_forked_process_makes_a_connection_of_its_own(store, bucket) -> None:
    kept = store.put(io.BytesIO(BYTES), limit=10**6)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORK, bucket.url, kept.key], check=True, timeout=60
    )


def test_a_process_that_used_a_bucket_ends_without_a_word(bucket) -> None:
    code = f"from fimq.store.base import open_store; print(open_store({bucket.url!r}).check())"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stderr == ""
    assert "127.0.0.1" in ran.stdout


def test_without_its_package_one_line_says_what_to_install(monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "fimq.store.s3")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(StorePackageMissing, match="s3fs") as caught:
        open_store("s3://bucket/videos")
    assert "fimq[s3]" in caught.value.hint


def test_who_uses_no_bucket_does_not_wait_for_its_packages(tmp_path: Path) -> None:
    code = (
        "import sys; from fimq.store.base import open_store; "
        f"open_store('file://{tmp_path}').check(); "
        "assert not {'s3fs', 'botocore', 'aiohttp'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_bad_answer_does_not_make_a_video_changed(bucket, tmp_path) -> None:
    for store in (
        open_store(bucket.url),
        open_store(bucket.url, cache_dir=tmp_path / "cache", cache_bytes=2**30),
    ):
        store.put(io.BytesIO(BYTES), limit=10**6)
        bad = [True]
        bucket.gateway.spoilt = lambda asked, body, bad=bad: (
            body[::-1] if asked.begins_download and bad and bad.pop() else body
        )
        assert read(store) == BYTES
        assert bad == []


def test_uploads_of_others_in_the_bucket_go_on(bucket) -> None:
    store = open_store(f"s3://{bucket.name}")
    for key in ("theirs/film.mp4", f"{'0' * 64}", key_of(SHA256)):
        store._call("create_multipart_upload", Key=key)
    assert store.tidy() == 1
    assert bucket.uploads() == 2
