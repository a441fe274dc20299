import csv
import hashlib
import subprocess
from dataclasses import replace

import pytest
from click.testing import CliRunner

from fimq.errors import GitMissing
from fimq_training.commands import gather as command
from fimq_training.datasets.catalogue import SOURCES, Catalogue
from fimq_training.datasets.gathering import (
    GitHub,
    Listed,
    Mirror,
    gather,
    listed,
    write_manifest,
)

FILES = {"a.jpg": b"one face", "b.jpg": b"another face", "c.jpg": b"a third"}


def blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder of repositories that give single objects, as GitHub does; none has c.jpg."""
    base = tmp_path_factory.mktemp("served")
    folder = base / "who" / "faces"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(FILES[name])
    git(folder, "add", ".")
    git(folder, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "-m", "x")
    for option in ("uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter"):
        git(folder, "config", option, "true")
    return base


@pytest.fixture(params=["github", "mirror"])
def source(request, served):
    return GitHub(f"file://{served}") if request.param == "github" else Mirror(served)


@pytest.fixture
def wanted():
    return [
        Listed("portraits/us_congress", name, name[0], "who/faces", blob(content))
        for name, content in FILES.items()
    ]


def test_what_there_is_is_laid_out_and_the_rest_is_named(source, wanted, tmp_path):
    told = dict(gather(wanted, tmp_path, source))
    assert [told[entry] for entry in wanted] == [True, True, False]
    for entry in wanted[:2]:
        assert entry.lies_in(tmp_path).read_bytes() == FILES[entry.file]
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["a.jpg", "b.jpg"]


def test_what_is_there_is_kept_and_what_is_damaged_is_fetched_again(source, wanted, tmp_path):
    list(gather(wanted, tmp_path, source))
    kept, damaged = (entry.lies_in(tmp_path) for entry in wanted[:2])
    before = kept.stat().st_mtime_ns
    damaged.write_bytes(b"half of")
    assert [there for _, there in gather(wanted[:2], tmp_path, source)] == [True, True]
    assert kept.stat().st_mtime_ns == before
    assert damaged.read_bytes() == FILES["b.jpg"]


def test_a_repository_that_is_gone_is_no_reason_to_stop(source, wanted, tmp_path):
    gone = replace(wanted[0], file="z.jpg", repo="who/left")
    told = dict(gather([gone, *wanted[:2]], tmp_path, source))
    assert told == {gone: False, wanted[0]: True, wanted[1]: True}


def test_one_file_under_two_names_is_fetched_once(source, wanted, tmp_path):
    twin = replace(wanted[0], file="twin.jpg")
    assert dict(gather([wanted[0], twin], tmp_path, source)) == {wanted[0]: True, twin: True}
    assert twin.lies_in(tmp_path).read_bytes() == FILES["a.jpg"]


def test_the_manifest_is_read_as_a_catalogue(wanted, tmp_path):
    write_manifest(wanted, tmp_path)
    assert [entry.people for entry in Catalogue.read(tmp_path).entries] == [("a",), ("b",), ("c",)]


def test_without_git_it_says_so(wanted, served, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitMissing):
        list(gather(wanted, tmp_path / "out", Mirror(served)))


class TestList:
    def test_every_file_is_of_a_known_licence_and_named_once(self):
        entries = listed()
        assert {entry.folder for entry in entries} == set(SOURCES)
        places = [(entry.folder, entry.file) for entry in entries]
        assert len(set(places)) == len(places)
        assert all(len(entry.blob) == 40 for entry in entries)

    def test_nobody_is_on_both_sides(self, tmp_path):
        write_manifest(listed(), tmp_path)
        catalogue = Catalogue.read(tmp_path)
        sides = [
            {
                person
                for entry in (*catalogue.portraits(held_out=h), *catalogue.clips(held_out=h))
                for person in entry.people
            }
            for h in (False, True)
        ]
        assert sides[0]
        assert sides[1]
        assert not sides[0] & sides[1]


class TestCommand:
    @pytest.fixture
    def run(self, wanted, served, monkeypatch):
        monkeypatch.setattr(command, "listed", lambda: wanted)
        words = ["--mirror", str(served)]
        return lambda *more: CliRunner().invoke(command.gather_command, [*words, *map(str, more)])

    def test_missing_files_are_refused_and_named(self, run, tmp_path):
        ended = run(tmp_path / "out")
        assert ended.exception.code == "dataset_incomplete"
        assert "1 of 3 files are missing, of who/faces" in str(ended.exception)
        assert not (tmp_path / "out" / "manifest.csv").exists()

    def test_partial_takes_what_there_is(self, run, tmp_path):
        ended = run("--partial", tmp_path / "out")
        assert ended.exit_code == 0, ended.output
        assert ended.stdout.strip() == str(tmp_path / "out")
        assert "2 files of 2 people" in ended.stderr
        with (tmp_path / "out" / "manifest.csv").open() as rows:
            assert [row["file"] for row in csv.DictReader(rows)] == ["a.jpg", "b.jpg"]
