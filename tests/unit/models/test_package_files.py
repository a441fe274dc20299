"""The four files, from a folder and from an archive: read by their names, within bounds."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from fimq.errors import ModelInvalid, ModelMissing
from fimq.models import files
from fimq.models.files import MOST, PackageFiles
from fimq.models.package import ModelPackage
from tinymodel import write_package


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_package(tmp_path / "tiny")


def packed(members: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    out.seek(0)
    return out


def members(folder: Path, prefix: str = "") -> dict[str, bytes]:
    return {prefix + name: (folder / name).read_bytes() for name in MOST}


def test_the_hash_is_what_sha256sum_says(folder: Path) -> None:
    command = "sha256sum card.md golden.npz manifest.json model.onnx | sha256sum"
    assert command in (files.__doc__ or "")
    said = subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert said.split()[0] == PackageFiles.from_folder(folder).sha256


@pytest.mark.parametrize("name", MOST)
def test_each_file_is_bound(folder: Path, name: str) -> None:
    before = PackageFiles.from_folder(folder).sha256
    with (folder / name).open("ab") as file:
        file.write(b" ")
    assert PackageFiles.from_folder(folder).sha256 != before


@pytest.mark.parametrize("prefix", ["", "tiny/", "a/b/"])
@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_is_the_folder_that_was_packed(folder: Path, prefix: str, how: int) -> None:
    read = PackageFiles.from_archive(packed(members(folder, prefix), how), "there")
    assert read.sha256 == PackageFiles.from_folder(folder).sha256


def test_what_the_store_keeps_is_the_same_package(folder: Path) -> None:
    read = PackageFiles.from_folder(folder)
    kept = read.archive()
    assert kept == read.archive()
    again = PackageFiles.from_archive(io.BytesIO(kept), "the store")
    assert ModelPackage.of(again).sha256 == read.sha256


@pytest.mark.parametrize("name", ["../evil", "/etc/cron.d/evil", "sub/model.onnx", "a\\..\\b"])
def test_an_archive_with_anything_else_in_it_is_refused(folder: Path, name: str) -> None:
    before = set(folder.parent.rglob("*"))
    with pytest.raises(ModelInvalid, match="more than a package"):
        PackageFiles.from_archive(packed(members(folder) | {name: b"x"}), "there")
    assert set(folder.parent.rglob("*")) == before


def test_a_file_that_is_there_twice_is_refused(folder: Path) -> None:
    both = packed(members(folder))
    with zipfile.ZipFile(both, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("manifest.json", b"{}")
    with pytest.raises(ModelInvalid, match="more than a package"):
        PackageFiles.from_archive(both, "there")


@pytest.mark.parametrize("name", MOST)
def test_an_archive_without_one_of_them_is_refused(folder: Path, name: str) -> None:
    left = members(folder)
    del left[name]
    with pytest.raises(ModelMissing, match=name):
        PackageFiles.from_archive(packed(left), "there")


def test_a_small_archive_does_not_become_a_large_file(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "MOST", dict(MOST) | {"card.md": 1000})
    with pytest.raises(ModelInvalid, match=r"card\.md is too large"):
        PackageFiles.from_archive(packed(members(folder) | {"card.md": b"0" * 1001}), "there")
    just = members(folder) | {"card.md": b"0" * 1000}
    assert len(PackageFiles.from_archive(packed(just), "there").card) == 1000


def test_an_archive_that_lies_about_a_size_is_refused(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "MOST", dict(MOST) | {"card.md": 1000})
    content = packed(members(folder) | {"card.md": b"0" * 5000}).getvalue()
    size = (5000).to_bytes(4, "little")
    assert content.count(size) >= 2
    with pytest.raises(ModelInvalid):
        PackageFiles.from_archive(io.BytesIO(content.replace(size, b"\x09\0\0\0")), "there")


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty"])
def test_a_damaged_archive_is_refused(folder: Path, damage: str) -> None:
    content = packed(members(folder)).getvalue()
    at = content.index(b"golden.npz") + 60
    damaged = {
        "cut": content[:-40],
        "flipped": content[:at] + bytes(255 - byte for byte in content[at : at + 9])
        + content[at + 9 :],
        "text": b"no archive at all",
        "empty": b"",
    }  # fmt: skip
    with pytest.raises(ModelInvalid):
        PackageFiles.from_archive(io.BytesIO(damaged[damage]), "there")


def test_an_encrypted_archive_is_refused(folder: Path) -> None:
    content = bytearray(packed(members(folder)).getvalue())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(signature, at + 4)
    with pytest.raises(ModelInvalid, match="cannot be read"):
        PackageFiles.from_archive(io.BytesIO(bytes(content)), "there")


def test_a_pipe_in_a_files_place_hangs_nobody(folder: Path) -> None:
    (folder / "golden.npz").unlink()
    os.mkfifo(folder / "golden.npz")
    with pytest.raises(ModelInvalid, match="not a file"):
        PackageFiles.from_folder(folder)
