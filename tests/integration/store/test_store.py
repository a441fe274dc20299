"""What every Store promises. A new one joins by adding itself to the fixture."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fimq.errors import (
    EmptyFile,
    FileChanged,
    ServiceError,
    StoreChanged,
    StoreMissing,
    StoreUnusable,
    TooLarge,
)
from fimq.store.base import Store, StoreFolderMissing, StoreUnknown, open_store
from fimq.store.content import key_of
from fimq.store.s3 import PART_BYTES
from services.s3 import Bucket

BYTES = b"some video" * 1000
SHA256 = hashlib.sha256(BYTES).hexdigest()
#: Two parts and a bit on S3.
LONG = bytes(range(256)) * (PART_BYTES // 128) + b"the end"


@dataclass
class Place:
    """Where a store keeps its objects, seen from outside."""

    store: Store
    objects: Callable[[], list[str]]  #: names of all that lies there
    write: Callable[[str, bytes], None]
    take_away: Callable[[], object]  #: as an unmounted disk, or a bucket that was removed
    readings: int  #: how often a source is read


@pytest.fixture(params=["folder", "s3", "cached s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return in_folder(tmp_path / "store")
    bucket: Bucket = request.getfixturevalue("bucket")
    cache = {"cache_dir": tmp_path / "cache", "cache_bytes": 2**30}
    return in_bucket(bucket, open_store(bucket.url, **cache if "cached" in request.param else {}))


def in_folder(folder: Path) -> Place:
    def write(key: str, body: bytes) -> None:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    return Place(
        open_store(f"file://{folder}", make=True),
        lambda: [path.name for path in folder.rglob("*") if path.is_file()],
        write,
        lambda: (folder.rename(folder.with_name("unmounted")), folder.write_bytes(b"")),
        readings=1,
    )


def in_bucket(bucket: Bucket, store: Store) -> Place:
    def objects() -> list[str]:
        return [key.rpartition("/")[2] for key in bucket.objects()] + ["?"] * bucket.uploads()

    def take_away() -> None:
        bucket.gateway.fault = lambda _: (404, "NoSuchBucket")

    return Place(store, objects, bucket.write, take_away, readings=2)


@pytest.fixture
def store(place: Place) -> Store:
    return place.store


class Cut(io.BytesIO):
    """A stream that breaks after so many bytes, in so manieth reading."""

    def __init__(self, body: bytes, after: int, reading: int = 1) -> None:
        super().__init__(body)
        self.after, self.reading = after, reading

    def seek(self, place: int, whence: int = 0) -> int:
        self.reading -= 1
        return super().seek(place, whence)

    def read(self, size: int | None = -1) -> bytes:
        if self.reading == 1 and self.tell() >= self.after:
            raise ConnectionResetError
        return super().read(size)


class Pipe(io.BytesIO):
    """A stream that goes forward only, in small pieces."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 70_000, 70_000))


class Fickle(io.BytesIO):
    """A stream that gives other bytes when it is read again, as a file that is written."""

    def seek(self, place: int, whence: int = 0) -> int:
        self.getbuffer()[-1] ^= 1
        return super().seek(place, whence)


class TestStore:
    @pytest.mark.parametrize("body", [b"x", BYTES, LONG], ids=["byte", "short", "long"])
    @pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
    def test_what_goes_in_comes_out(self, store: Store, place: Place, body, kind) -> None:
        kept = store.put(kind(body), limit=len(body))
        assert (kept.sha256, kept.bytes) == (hashlib.sha256(body).hexdigest(), len(body))
        assert store.has(kept.key)
        assert place.objects() == [kept.sha256]
        with store.open(kept.key, kept.sha256) as source:
            assert source.read() == body
            assert source.fileno() > 2

    def test_a_stream_is_taken_from_where_it_stands(self, store: Store) -> None:
        source = io.BytesIO(b"read before" + BYTES)
        source.read(len(b"read before"))
        assert store.put(source, limit=10**6).sha256 == SHA256

    def test_the_same_bytes_are_kept_once(self, store: Store, place: Place) -> None:
        first = store.put(io.BytesIO(BYTES), limit=10**6)
        assert store.put(io.BytesIO(BYTES), limit=10**6) == first
        assert place.objects() == [SHA256]

    def test_many_at_once_may_put_the_same(self, store: Store, place: Place) -> None:
        kept: list[object] = []
        threads = [
            threading.Thread(target=lambda: kept.append(store.put(io.BytesIO(BYTES), limit=10**6)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(kept) == 8
        assert place.objects() == [SHA256]
        with store.open(key_of(SHA256), SHA256) as source:
            assert source.read() == BYTES

    def test_a_cut_upload_leaves_nothing_behind(self, store: Store, place: Place) -> None:
        for reading in range(1, place.readings + 1):
            with pytest.raises(ConnectionResetError):
                store.put(Cut(LONG, PART_BYTES, reading), limit=len(LONG))
            assert place.objects() == []

    @pytest.mark.parametrize("body", [BYTES, LONG], ids=["short", "long"])
    def test_a_file_that_changes_meanwhile_is_not_kept_as_another(
        self, store: Store, place: Place, body
    ) -> None:
        try:
            kept = store.put(Fickle(body), limit=len(body))
        except FileChanged:
            assert place.objects() == []
        else:
            with store.open(kept.key, kept.sha256) as source:
                assert hashlib.sha256(source.read()).hexdigest() == kept.sha256

    @pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
    def test_too_much_is_refused_and_leaves_nothing(self, store: Store, place: Place, kind) -> None:
        with pytest.raises(TooLarge):
            store.put(kind(LONG), limit=len(LONG) - 1)
        assert place.objects() == []

    def test_nothing_is_refused(self, store: Store, place: Place) -> None:
        with pytest.raises(EmptyFile):
            store.put(io.BytesIO(b""), limit=10)
        assert place.objects() == []

    def test_a_missing_object_is_named(self, store: Store) -> None:
        kept = store.put(io.BytesIO(BYTES), limit=10**6)
        with store.open(kept.key, SHA256) as source:
            store.delete(kept.key)
            assert source.read() == BYTES
        store.delete(kept.key)
        assert not store.has(kept.key)
        with pytest.raises(StoreMissing, match=SHA256[:12]), store.open(kept.key, SHA256):
            pass

    def test_a_file_in_place_is_not_copied_and_not_deleted(
        self, store: Store, place: Place, tmp_path: Path
    ) -> None:
        path = tmp_path / "own.mp4"
        path.write_bytes(BYTES)
        kept = store.adopt(path, limit=10**6)
        store.delete(kept.key)
        assert store.has(kept.key)
        with store.open(kept.key, SHA256) as source:
            assert source.read() == BYTES
        assert place.objects() == []
        path.write_bytes(BYTES[::-1])
        with pytest.raises(StoreChanged), store.open(kept.key, SHA256):
            pass
        path.unlink()
        assert not store.has(kept.key)
        with pytest.raises(StoreMissing), store.open(kept.key, SHA256):
            pass

    def test_a_file_in_place_has_its_limits(self, store: Store, tmp_path: Path) -> None:
        path = tmp_path / "own.mp4"
        path.write_bytes(BYTES)
        with pytest.raises(TooLarge):
            store.adopt(path, limit=len(BYTES) - 1)

    def test_other_bytes_are_found_out_and_mended_by_the_next_upload(
        self, store: Store, place: Place
    ) -> None:
        place.write(key_of(SHA256), BYTES[::-1])
        with pytest.raises(StoreChanged), store.open(key_of(SHA256), SHA256):
            pass
        kept = store.put(io.BytesIO(BYTES), limit=10**6)
        with store.open(kept.key, SHA256) as source:
            assert source.read() == BYTES

    def test_a_copy_that_is_there_is_taken_before_a_file_in_place(
        self, store: Store, tmp_path: Path
    ) -> None:
        path = tmp_path / "own.mp4"
        path.write_bytes(BYTES)
        kept = store.put(io.BytesIO(BYTES), limit=10**6)
        assert store.adopt(path, limit=10**6) == kept

    def test_a_store_that_is_away_is_not_a_video_that_is_gone(
        self, store: Store, place: Place
    ) -> None:
        kept = store.put(io.BytesIO(BYTES), limit=10**6)
        place.take_away()
        uses: list[Callable[[], object]] = [
            lambda: store.open(kept.key, SHA256).__enter__(),
            lambda: store.put(io.BytesIO(b"other"), limit=10),
            store.check,
        ]
        for use in uses:
            with pytest.raises(StoreUnusable, match="cannot be used"):
                use()

    def test_the_doctor_can_look_at_it_and_leaves_nothing(self, store: Store, place: Place) -> None:
        assert "s3://" in store.check() or "GiB free" in store.check()
        assert place.objects() == []

    def test_there_is_nothing_to_tidy_in_a_store_in_use(self, store: Store, place: Place) -> None:
        assert store.tidy() == 0
        store.put(io.BytesIO(BYTES), limit=10**6)
        assert store.tidy(older_s=0) == 0
        assert place.objects() == [SHA256]


@pytest.mark.parametrize(
    "url", ["ftp://somewhere", "s3://", "s3:///videos", "s3://bucket/videos?region=x", "bucket"]
)
def test_an_unknown_url_is_refused(url: str) -> None:
    with pytest.raises(StoreUnknown):
        open_store(url)


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(StoreUnknown) as caught:
        open_store("s3://AKIA:se/cret@bucket/videos")
    assert "se/cret" not in caught.value.message


def test_a_folder_keeps_what_comes_and_drops_what_was_left(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}")
    store.check()
    left = tmp_path / "incoming" / "left"
    left.write_bytes(b"half a video")
    assert store.tidy() == 0
    assert left.exists()
    assert store.tidy(older_s=-1) == 1
    assert not left.exists()


def test_a_folder_that_was_named_is_mounted_before_and_never_made(tmp_path: Path) -> None:
    """A share that is not mounted, or a slip of the pen, would else take videos for nobody."""
    folder = tmp_path / "mount" / "store"
    store = open_store(f"file://{folder}")
    key = key_of(SHA256)
    uses: list[Callable[[], object]] = [
        store.find,
        lambda: store.put(io.BytesIO(BYTES), limit=10**6),
        lambda: store.open(key, SHA256).__enter__(),
        lambda: store.has(key),
        lambda: store.delete(key),
        store.tidy,
        store.check,
    ]
    for use in uses:
        with pytest.raises(StoreFolderMissing, match=str(folder)):
            use()
    assert not folder.parent.exists()
    folder.mkdir(parents=True)
    store.find()
    kept = store.put(io.BytesIO(BYTES), limit=10**6)
    with store.open(kept.key, SHA256) as source:
        assert source.read() == BYTES


def test_every_failure_of_a_store_is_one_that_a_step_is_run_again_for() -> None:
    assert issubclass(StoreUnusable, ServiceError)
    assert not StoreUnusable.final
    assert StoreMissing.final
    assert StoreChanged.final


def test_an_empty_folder_is_a_mount_that_is_not_there(tmp_path: Path) -> None:
    """One worker without its mount would else fail every job of the queue for good."""
    store = open_store(f"file://{tmp_path / 'store'}", make=True)
    kept = store.put(io.BytesIO(BYTES), limit=10**6)
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    (tmp_path / "store").mkdir()
    with pytest.raises(StoreUnusable, match="mounted"), store.open(kept.key, SHA256):
        pass
    store.check()
    with pytest.raises(StoreUnusable, match="mounted"), store.open(kept.key, SHA256):
        pass
    (tmp_path / "store" / "00").mkdir()
    with pytest.raises(StoreMissing), store.open(kept.key, SHA256):
        pass
