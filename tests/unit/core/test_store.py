"""What every Store promises. A new one joins by adding itself to the fixture."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from fimq.errors import EmptyFile, ServiceError, StoreChanged, StoreMissing, TooLarge
from fimq.store.base import Store, StoreUnknown, open_store

BYTES = b"some video" * 1000
SHA256 = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture(params=["folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    makers: dict[str, Callable[[], Store]] = {
        "folder": lambda: open_store(f"file://{tmp_path / 'store'}"),
    }
    return makers[request.param]()


class Cut(io.BytesIO):
    """A stream that breaks in the middle."""

    def read(self, size: int | None = -1) -> bytes:  # noqa: ARG002 - the signature is io's
        if self.tell() > 0:
            raise ConnectionResetError
        return super().read(100)


class TestStore:
    def test_what_goes_in_comes_out(self, store: Store) -> None:
        kept = store.put(io.BytesIO(BYTES), limit=10**6)
        assert (kept.sha256, kept.bytes) == (SHA256, len(BYTES))
        with store.open(kept.key, SHA256) as source:
            assert source.read() == BYTES

    def test_a_cut_upload_leaves_nothing_behind(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(ConnectionResetError):
            store.put(Cut(BYTES), limit=10**6)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_too_much_is_refused_and_leaves_nothing(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(TooLarge):
            store.put(io.BytesIO(BYTES), limit=len(BYTES) - 1)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        assert store.put(io.BytesIO(BYTES), limit=len(BYTES)).bytes == len(BYTES)

    def test_nothing_is_refused(self, store: Store) -> None:
        with pytest.raises(EmptyFile):
            store.put(io.BytesIO(b""), limit=10)

    def test_a_missing_object_is_named(self, store: Store) -> None:
        kept = store.put(io.BytesIO(BYTES), limit=10**6)
        store.delete(kept.key)
        store.delete(kept.key)
        with pytest.raises(StoreMissing), store.open(kept.key, SHA256):
            pass

    def test_a_file_in_place_is_not_copied_and_not_deleted(
        self, store: Store, tmp_path: Path
    ) -> None:
        path = tmp_path / "own.mp4"
        path.write_bytes(BYTES)
        kept = store.adopt(path, limit=10**6)
        store.delete(kept.key)
        with store.open(kept.key, SHA256) as source:
            assert source.read() == BYTES
        assert not list(tmp_path.joinpath("store").rglob(SHA256))
        path.write_bytes(BYTES[::-1])
        with pytest.raises(StoreChanged), store.open(kept.key, SHA256):
            pass

    def test_a_damaged_object_is_mended_by_the_next_upload(
        self, store: Store, tmp_path: Path
    ) -> None:
        kept = store.put(io.BytesIO(BYTES), limit=10**6)
        next(path for path in tmp_path.rglob(SHA256)).write_bytes(b"damaged")
        with pytest.raises(StoreChanged), store.open(kept.key, SHA256):
            pass
        store.put(io.BytesIO(BYTES), limit=10**6)
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
        self, store: Store, tmp_path: Path
    ) -> None:
        kept = store.put(io.BytesIO(BYTES), limit=10**6)
        (tmp_path / "store").rename(tmp_path / "unmounted")
        with pytest.raises(ServiceError), store.open(kept.key, SHA256):
            pass

    def test_a_store_that_cannot_be_written_says_so(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "store").write_bytes(b"a file where the folder should be")
        for use in (lambda: store.put(io.BytesIO(BYTES), limit=10**6), store.check):
            with pytest.raises(ServiceError, match="cannot be used"):
                use()

    def test_the_doctor_can_look_at_it(self, store: Store) -> None:
        assert "GiB free" in store.check()


def test_an_unknown_url_is_refused() -> None:
    with pytest.raises(StoreUnknown):
        open_store("ftp://somewhere")
