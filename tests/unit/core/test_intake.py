"""Intake: what is refused before anything is stored, and what is let through to the child."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fimq import errors
from fimq.intake import shown, take_in
from fimq.signature import refusal
from fimq.store.folder import FolderStore

MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + b"\x00\x9f" * 64


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store", make=True)


def stored(store: FolderStore) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.mp4", b"", "empty_file"),
        ("large.mp4", MP4 * 20, "too_large"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1/a.ts\n", "not_a_video"),
        ("manifest.mp4", b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash"/>', "not_a_video"),
        ("script.mp4", b"ffconcat version 1.0\nfile a.mp4\n", "not_a_video"),
        ("session.mp4", b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "not_a_video"),
        ("urls.mp4", b"http://127.0.0.1/a.mp4\nhttp://127.0.0.1/b.mp4\n", "not_a_video"),
        ("notes.mp4", "Ein Text mit Umlauten: äöü\n".encode(), "not_a_video"),
        ("wide.mp4", "A text in UTF-16\n".encode("utf-16"), "not_a_video"),
        ("error.mp4", b"\n\n<!DOCTYPE html><html>404</html>", "not_a_video"),
        ("bom.mp4", b"\xef\xbb\xbf#EXTM3U\n", "not_a_video"),
        ("archive.mp4", b"PK\x03\x04\x14\x00\x00\x00", "not_a_video"),
        ("paper.mp4", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "not_a_video"),
        ("sound.wav", b"RIFF\x24\x08\x00\x00WAVEfmt ", "not_a_video"),
        ("song.mp3", b"ID3\x04\x00\x00\x00\x00\x00\x00", "not_a_video"),
        ("program.mp4", b"\x7fELF\x02\x01\x01\x00", "not_a_video"),
    ],
)
def test_what_is_no_video_is_refused_and_nothing_is_stored(
    store, tmp_path, name, content, code
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(errors.InputError) as caught:
        take_in(path, store, limit=2000)
    assert caught.value.code == code
    assert caught.value.exit_status == 2
    assert stored(store) == []


def test_what_is_no_file_is_refused(store, tmp_path) -> None:
    fifo, listening = tmp_path / "fifo", tmp_path / "socket"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(listening))
        for path, code in [
            (tmp_path / "nowhere.mp4", "not_found"),
            (tmp_path / "nowhere" / "at" / "all.mp4", "not_found"),
            (tmp_path, "is_a_folder"),
            (fifo, "not_a_file"),
            (listening, "not_a_file"),
            (Path("/dev/zero"), "not_a_file"),
        ]:
            with pytest.raises(errors.InputError) as caught:
                take_in(path, store, limit=2000)
            assert caught.value.code == code


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(store, tmp_path) -> None:
    path = tmp_path / "secret.mp4"
    path.write_bytes(MP4)
    path.chmod(0)
    with pytest.raises(errors.NotReadable):
        take_in(path, store, limit=2000)


@pytest.mark.parametrize(
    "name",
    [
        "new\nline.mp4",
        "control\x07.mp4",
        "rtl\u202egpj.mp4",
        "a" * 251 + ".mp4",
        "-rf.mp4",
        "..mp4",
    ],
)
def test_an_odd_name_is_kept_under_the_hash_and_shown_escaped(store, tmp_path, name) -> None:
    path = tmp_path / name
    path.write_bytes(MP4)
    content = take_in(path, store, limit=2000)
    assert (store.folder / content.store_key).read_bytes() == MP4
    assert content.store_key.endswith(content.sha256)
    assert content.name.isprintable()


@given(st.text())
def test_every_shown_name_is_printable(name) -> None:
    assert shown(name).isprintable()


@given(st.binary(max_size=64))
def test_what_starts_like_mp4_is_never_refused_by_its_first_bytes(rest) -> None:
    assert refusal(b"\x00\x00\x00\x20ftypisom" + rest) is None


class TestInPlace:
    @pytest.fixture
    def shared(self, tmp_path: Path) -> Path:
        folder = tmp_path / "shared"
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "clip.mp4").write_bytes(MP4)
        return folder

    def test_without_remote_workers_any_file_may_stay(self, store, shared) -> None:
        path = shared / "deep" / "clip.mp4"
        content = take_in(path, store, limit=2000, in_place=True)
        assert content.store_key == f"path:{path}"

    def test_with_them_it_must_lie_where_all_see_it(self, store, shared, tmp_path) -> None:
        path, own = shared / "deep" / "clip.mp4", tmp_path / "own.mp4"
        own.write_bytes(MP4)
        (shared / "link.mp4").symlink_to(own)
        beside = tmp_path / "shared-not" / "clip.mp4"
        beside.parent.mkdir()
        beside.write_bytes(MP4)
        kept = take_in(path, store, limit=2000, in_place=True, shared=[tmp_path / "no", shared])
        assert kept.store_key == f"path:{path}"
        for refused in (own, shared / "link.mp4", beside, shared / ".." / "own.mp4"):
            with pytest.raises(errors.PathNotShared):
                take_in(refused, store, limit=2000, in_place=True, shared=[shared])
        with pytest.raises(errors.PathNotShared):
            take_in(path, store, limit=2000, in_place=True, shared=[])
        assert take_in(own, store, limit=2000, shared=[]).store_key.endswith(kept.sha256)

    def test_a_shared_folder_goes_by_the_name_that_it_was_given(
        self, store, shared, tmp_path
    ) -> None:
        mount = tmp_path / "mount"
        mount.symlink_to(shared)
        for path in (mount / "deep" / "clip.mp4", shared / "deep" / "clip.mp4"):
            kept = take_in(path, store, limit=2000, in_place=True, shared=[mount])
            assert kept.store_key == f"path:{mount}/deep/clip.mp4"


def test_the_same_bytes_are_kept_once(store, tmp_path) -> None:
    for name in ("one.mp4", "two.mp4"):
        (tmp_path / name).write_bytes(MP4)
    one, two = (take_in(tmp_path / name, store, limit=2000) for name in ("one.mp4", "two.mp4"))
    assert one.store_key == two.store_key
    assert len(stored(store)) == 1
