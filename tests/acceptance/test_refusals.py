"""What is refused at submit, and what the store keeps, through the real command."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from sqlalchemy import select

from awkward import film_bytes
from clips import Clip
from fimq.document import schema
from fimq.ledger.tables import Job
from installation import Installation, installed
from tinymodel import write_package


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, face_models: Path
) -> Iterator[Installation]:
    """One for all tests of this file."""
    folder = tmp_path_factory.mktemp("refused")
    write_package(folder / "models" / "default")
    with installed(folder, face_models, FIMQ_MIN_SAMPLES="2") as made:
        yield made


# --- refused at submit


def test_a_store_that_is_not_mounted_takes_nothing_and_nobody_works_on_it(
    installation: Installation, tmp_path: Path
) -> None:
    away = tmp_path / "mount" / "store"
    told = {"FIMQ_STORE_URL": f"file://{away}", "FIMQ_BROKER_URL": "redis://127.0.0.1:1"}
    elsewhere = replace(installation, environment=installation.environment | told)
    clip = Clip(frames=10).write(tmp_path / "clip.mp4")
    for command in (("submit", clip), ("submit", "--in-place", clip), ("worker",)):
        ran = elsewhere.run(*command)
        assert ran.returncode == 5, ran.stderr
        assert f"there is no folder {away}  [store_folder_missing]" in ran.stderr
        assert "mkdir -p" in ran.stderr
    (findings,) = elsewhere.documents("doctor")
    (store,) = (finding for finding in findings if finding["what"] == "store")
    assert (store["state"], "mkdir -p" in store["hint"]) == ("bad", True)
    assert not away.parent.exists()
    assert installation.run("list", "--json").stdout == ""


TEXTS = {
    "list.m3u8": b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1/a.ts\n",
    "list.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nplain.mp4\n#EXT-X-ENDLIST\n",
    "list.avi": b"ffconcat version 1.0\nfile plain.mp4\n",
    "manifest.mpd": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>',
    "session.mp4": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
    "addresses.mp4": b"http://127.0.0.1/a.mp4\nhttp://127.0.0.1/b.mp4\n",
    "notes.mp4": "Ein Text mit Umlauten: äöü\n".encode(),
    "error.mp4": b"<!DOCTYPE html><html>404</html>",
    "archive.mp4": b"PK\x03\x04\x14\x00\x00\x00",
    "paper.mp4": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    "program.mp4": b"\x7fELF\x02\x01\x01\x00",
}


def test_what_is_no_video_is_refused_and_nothing_is_stored(installation: Installation) -> None:
    before = stored(installation)
    folder = installation.folder / "refused"
    folder.mkdir()
    expected = {}
    for name, content in TEXTS.items():
        (folder / name).write_bytes(content)
        expected[name] = "not_a_video"
    (folder / "empty.mp4").touch()
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "fifo.mp4")
    (folder / "large.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(3_000_000))
    expected |= {
        "empty.mp4": "empty_file",
        "folder.mp4": "is_a_folder",
        "fifo.mp4": "not_a_file",
        "large.mp4": "too_large",
        "missing.mp4": "not_found",
    }
    if os.geteuid() != 0:
        (folder / "secret.mp4").write_bytes(film_bytes())
        (folder / "secret.mp4").chmod(0)
        expected["secret.mp4"] = "not_readable"
    with socket.socket(socket.AF_UNIX) as server:
        # By a short path: sockets have no others.
        server.bind(str(installation.state_dir / "socket.mp4"))
        paths = [folder / name for name in expected]
        paths += [installation.state_dir / "socket.mp4", Path("/dev/zero")]
        expected |= {"socket.mp4": "not_a_file", "zero": "not_a_file"}
        environment = installation.environment
        installation.environment = environment | {"FIMQ_MAX_BYTES": "2000000"}
        ran = installation.run("submit", *paths, "--wait", "--json")
        said = installation.run("submit", *paths).stderr
        installation.environment = environment
    assert ran.returncode == 2
    documents = [json.loads(line) for line in ran.stdout.splitlines()]
    for document in documents:
        jsonschema.validate(document, schema("refusal"))
    assert {each["name"]: each["error"]["code"] for each in documents} == expected
    for code in expected.values():
        assert said.count(f"[{code}]") == list(expected.values()).count(code)
    assert stored(installation) == before
    assert not jobs(installation, *expected)


def test_odd_names_are_kept_under_their_hash_and_shown_escaped(installation: Installation) -> None:
    folder = installation.folder / "names"
    folder.mkdir()
    names = ["new\nline.mp4", "bell\x07.mp4", "rtl\u202egpj.mp4", "a" * 251 + ".mp4", "..x.mp4"]
    for number, name in enumerate(names):
        Clip(frames=number + 2).write(folder / "clip.mp4").rename(folder / name)
    Clip(frames=9).write(installation.folder / "clip.mp4").rename(installation.folder / "-rf.mp4")
    paths = [folder / ".." / "names" / name for name in names]
    ran = installation.run("submit", "--wait", "--json", "--", *paths, "-rf.mp4")
    documents = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(documents) == len(names) + 1
    for document in documents:
        assert document["state"] == "done", document
        assert document["name"].isprintable()
        assert any(path.endswith(document["sha256"]) for path in stored(installation))
    assert installation.run("list", "--limit", "10").stdout.replace("\n", "").isprintable()


# --- the store, and known content


def stored(installation: Installation) -> set[str]:
    """Every object of the store."""
    store = installation.data_dir / "store"
    return {str(path) for path in store.rglob("*") if path.is_file()}


def jobs(installation: Installation, *names: str) -> list[Job]:
    ledger = installation.ledger()
    with ledger.read() as session:
        found = list(session.scalars(select(Job).where(Job.name.in_(names))))
        session.expunge_all()
    ledger.close()
    return found


def test_a_stored_video_that_is_gone_or_changed_fails_by_name(installation: Installation) -> None:
    plain, gone, changed = (
        installation.folder / f"{name}.mp4" for name in ("still-there", "gone", "changed")
    )
    for number, path in enumerate((plain, gone, changed)):
        Clip(frames=20 + number).write(path)
    installation.run("up")
    pid = installation.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # so that the files are still to be judged
    documents = installation.documents("submit", gone, plain, changed, "--json")
    keys = {document["name"]: document["sha256"] for document in documents}
    for path in stored(installation):
        if path.endswith(keys["gone.mp4"]):
            Path(path).unlink()
        if path.endswith(keys["changed.mp4"]):
            Path(path).write_bytes(film_bytes())
    os.kill(pid, signal.SIGCONT)
    installation.run("watch", *(document["job_id"] for document in documents))
    ends = {job.name: (job.state, job.error_code) for job in jobs(installation, *keys)}
    assert ends == {
        "still-there.mp4": ("done", None),
        "gone.mp4": ("failed", "store_missing"),
        "changed.mp4": ("failed", "store_changed"),
    }


def test_the_same_content_is_stored_once_and_judged_once(installation: Installation) -> None:
    one, other = installation.folder / "one.mp4", installation.folder / "folder" / "one.mp4"
    other.parent.mkdir()
    for path, frames in ((one, 31), (other, 32)):
        Clip(frames=frames).write(path)
    twin = installation.folder / "twin.mp4"
    twin.write_bytes(one.read_bytes())
    before = len(stored(installation))
    first, twins, same_name = (installation.judge(path)[0] for path in (one, twin, other))
    assert len(stored(installation)) == before + 2
    assert twins["reused_from"] == first["job_id"] != twins["job_id"]
    assert same_name["reused_from"] is None
    assert same_name["sha256"] != first["sha256"]
    (again,) = installation.judge(twin, options=("--rescan",))
    assert again["reused_from"] is None
