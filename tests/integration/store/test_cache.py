"""The cache before a bucket: fetched once a machine, never over its bound, never a wrong byte."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fimq.errors import CacheUnusable, StoreChanged, StoreMissing
from fimq.store.base import Store, open_store
from fimq.store.cache import KEPT_SECONDS, CachedStore
from fimq.store.content import key_of
from fimq.store.folder import FolderStore
from fimq.store.s3 import PART_BYTES
from services.s3 import Asked, Bucket

BYTES = b"some video" * 1000
SHA256 = hashlib.sha256(BYTES).hexdigest()
LONG = bytes(range(256)) * (PART_BYTES // 128) + b"the end"
LONG_SHA256 = hashlib.sha256(LONG).hexdigest()


def cached(bucket: Bucket, folder: Path, bound: int = 2**30) -> Store:
    return open_store(bucket.url, cache_dir=folder, cache_bytes=bound)


def contents(folder: Path) -> dict[str, int]:
    """What lies there but locks."""
    return {
        path.name: path.stat().st_size
        for path in folder.iterdir()
        if path.name != "lock" and path.suffix != ".lock"
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def store(bucket: Bucket, folder: Path) -> Store:
    made = cached(bucket, folder)
    made.put(io.BytesIO(BYTES), limit=10**6)
    return made


def read(store: Store, sha256: str = SHA256) -> bytes:
    with store.open(key_of(sha256), sha256) as source:
        return source.read()


def downloads(bucket: Bucket) -> int:
    return bucket.gateway.count(lambda asked: asked.begins_download)


def test_a_video_is_fetched_once(store, bucket, folder) -> None:
    assert [read(store) for _ in range(5)] == [BYTES] * 5
    assert read(cached(bucket, folder)) == BYTES
    assert downloads(bucket) == 1
    assert contents(folder) == {SHA256: len(BYTES)}
    assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_eight_threads_fetch_once(store, bucket) -> None:
    # The one that fetches is held back until every other one is at the lock, or could be.
    bucket.gateway.held = lambda asked: asked.begins_download
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(read(store))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert bucket.gateway.waiting.wait(30)
    bucket.gateway.go.set()
    for thread in threads:
        thread.join()
    assert got == [BYTES] * 8
    assert downloads(bucket) == 1


def test_four_processes_of_two_threads_fetch_once(store, bucket, folder) -> None:
    store.put(io.BytesIO(LONG), limit=len(LONG))
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    processes = [
        context.Process(target=_read_in_threads, args=(bucket.url, folder, barrier))
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert downloads(bucket) == 1


def _read_in_threads(url: str, folder: Path, barrier: Barrier) -> None:
    store = open_store(url, cache_dir=folder, cache_bytes=2**30)
    barrier.wait(60)
    got: list[bool] = []
    threads = [
        threading.Thread(target=lambda: got.append(read(store, LONG_SHA256) == LONG))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.exit(0 if got == [True, True] else 1)


class Stop(Exception):
    """What a worker stops with."""


def test_a_stop_ends_a_download_between_two_pieces(store, bucket, folder) -> None:
    store.put(io.BytesIO(LONG), limit=len(LONG))

    def check() -> None:
        raise Stop

    with pytest.raises(Stop), store.open(key_of(LONG_SHA256), LONG_SHA256, check=check):
        pass
    assert bucket.gateway.count(lambda asked: asked.range is not None) == 1
    assert contents(folder) == {}
    assert read(store, LONG_SHA256) == LONG


def test_a_stop_ends_the_waiting_for_anothers_download(store, bucket) -> None:
    bucket.gateway.held = lambda asked: asked.begins_download
    got: list[bytes] = []
    fetching = threading.Thread(target=lambda: got.append(read(store)))
    fetching.start()
    assert bucket.gateway.waiting.wait(30)

    def check() -> None:
        raise Stop

    with pytest.raises(Stop), store.open(key_of(SHA256), SHA256, check=check):
        pass
    assert got == []
    bucket.gateway.go.set()
    fetching.join()
    assert got == [BYTES]


def test_an_object_is_deleted_though_its_copy_cannot_be(store, bucket, folder) -> None:
    read(store)
    (folder / SHA256).unlink()
    # A folder in its place cannot be unlinked, not even by root.
    (folder / SHA256).mkdir()
    store.delete(key_of(SHA256))
    assert bucket.objects() == []


def test_a_damaged_copy_is_fetched_again(store, bucket, folder) -> None:
    read(store)
    (folder / SHA256).write_bytes(BYTES[::-1])
    assert read(store) == BYTES
    assert read(cached(bucket, folder)) == BYTES
    assert downloads(bucket) == 2


def test_wrong_bytes_of_the_store_do_not_stay(store, bucket, folder) -> None:
    bucket.write(key_of(SHA256), BYTES[::-1])
    with pytest.raises(StoreChanged):
        read(store)
    assert contents(folder) == {}


def test_a_download_that_breaks_leaves_nothing(store, bucket, folder) -> None:
    store.put(io.BytesIO(LONG), limit=len(LONG))

    def fault(asked: Asked) -> tuple[int, str] | None:
        second = asked.method == "GET" and asked.range and not asked.begins_download
        return (404, "NoSuchKey") if second else None

    bucket.gateway.fault = fault
    with pytest.raises(StoreMissing):
        read(store, LONG_SHA256)
    assert contents(folder) == {}


def test_what_is_larger_than_the_cache_is_read_and_removed(store, bucket, folder) -> None:
    small = cached(bucket, folder, bound=len(BYTES) - 1)
    with small.open(key_of(SHA256), SHA256) as source:
        assert source.read() == BYTES
        # A second reader, meanwhile, need not fetch it again.
        assert read(small) == BYTES
    assert contents(folder) == {}
    assert downloads(bucket) == 1


def test_what_is_open_stays(bucket, folder) -> None:
    small = cached(bucket, folder, bound=25)
    videos = [bytes([number]) * 10 for number in range(4)]
    names = [small.put(io.BytesIO(video), limit=10).sha256 for video in videos]
    with ExitStack() as stack:
        sources = [stack.enter_context(small.open(key_of(name), name)) for name in names]
        assert set(contents(folder)) == set(names)
        assert [source.read() for source in sources] == videos
    # The last two were closed first, when there was too much.
    assert set(contents(folder)) == set(names[:2])


def test_what_was_used_last_is_kept(bucket, folder) -> None:
    small = cached(bucket, folder, bound=25)
    names = [small.put(io.BytesIO(bytes([n]) * 10), limit=10).sha256 for n in range(3)]
    for name in (names[0], names[1], names[0], names[2]):
        read(small, name)
    assert set(contents(folder)) == {names[0], names[2]}


def test_what_nobody_used_for_a_day_goes(store, folder) -> None:
    read(store)
    store.tidy()
    assert contents(folder)
    old = time.time() - KEPT_SECONDS - 1
    os.utime(folder / f"{SHA256}.lock", (old, old))
    store.tidy()
    assert list(folder.iterdir()) == [folder / "lock"]


def test_what_is_deleted_goes_here_too(store, folder) -> None:
    read(store)
    store.delete(key_of(SHA256))
    assert contents(folder) == {}
    with pytest.raises(StoreMissing):
        read(store)


def test_a_folder_that_cannot_be_used_is_named(bucket, tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = cached(bucket, tmp_path / "file" / "cache")
    store.put(io.BytesIO(BYTES), limit=10**6)
    for use in (lambda: read(store), store.check):
        with pytest.raises(CacheUnusable, match="cannot be used") as caught:
            use()
        assert not caught.value.final


def test_a_full_disk_is_one_error_and_leaves_nothing(store, folder) -> None:
    # What a process may write is limited as a disk is: the error comes from the kernel.
    store.put(io.BytesIO(LONG), limit=len(LONG))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PART_BYTES + 5, before[1]))
    try:
        with pytest.raises(CacheUnusable, match="cannot be used"):
            read(store, LONG_SHA256)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert contents(folder) == {}
    assert read(store, LONG_SHA256) == LONG


def test_the_doctor_says_what_is_kept(store, folder) -> None:
    read(store)
    says = store.check()
    assert str(folder) in says
    assert "of 1.0 GiB used" in says
    assert "127.0.0.1" in says


_READER = """
import sys
from pathlib import Path
from fimq.store.base import open_store
url, folder, key, sha256 = sys.argv[1:]
with open_store(url, cache_dir=Path(folder), cache_bytes=2**30).open(key, sha256): pass
"""


def test_a_process_killed_in_mid_download_leaves_nothing_for_long(store, bucket, folder) -> None:
    store.put(io.BytesIO(LONG), limit=len(LONG))
    # Held at its second piece: the first one is on the disk.
    bucket.gateway.held = lambda asked: (asked.range or "").startswith(f"bytes={PART_BYTES}-")
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER, bucket.url, folder, key_of(LONG_SHA256), LONG_SHA256]
    )
    assert bucket.gateway.waiting.wait(30)
    # Its part counts and is nobody's to remove while it lives.
    read(store)
    assert contents(folder)[f"{LONG_SHA256}.part"] == len(LONG)
    reader.send_signal(signal.SIGKILL)
    reader.wait()
    read(store)
    assert contents(folder) == {SHA256: len(BYTES)}
    bucket.gateway.go.set()
    assert read(store, LONG_SHA256) == LONG


class _Elsewhere(FolderStore):
    """A folder that has to be copied from, as a bucket."""

    shown = "elsewhere"

    def size(self, key: str, sha256: str) -> int:  # noqa: ARG002 - the signature is RemoteStore's
        return (self.folder / key).stat().st_size

    def read(self, key: str, sha256: str, size: int) -> Iterator[bytes]:  # noqa: ARG002 - likewise
        yield (self.folder / key).read_bytes()


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    bound=st.integers(0, 120),
    uses=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=25),
)
def test_never_over_the_bound_and_never_a_wrong_byte(sizes, bound, uses) -> None:
    """Any videos, opened in any order, some of them for long."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        remote = _Elsewhere(Path(name, "store"), make=True)
        store = CachedStore(remote, Path(name, "cache"), bound)
        videos = [bytes([number]) * size for number, size in enumerate(sizes)]
        names = [remote.put(io.BytesIO(video), limit=10**6).sha256 for video in videos]
        open_now: set[str] = set()
        for number, stays in uses:
            sha256, video = names[number % len(names)], videos[number % len(names)]
            if stays:
                source = stack.enter_context(store.open(key_of(sha256), sha256))
                open_now.add(sha256)
                assert source.read() == video
            else:
                assert read(store, sha256) == video
            lies = contents(store.folder)
            assert sum(lies.values()) <= bound or set(lies) <= open_now
        stack.close()
        if uses:
            assert sum(contents(store.folder).values()) <= bound
