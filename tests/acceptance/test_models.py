"""`fimq models`: what an operator sees of import, promotion and rollback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from fimq.document import schema
from fimq.ledger.tables import Model
from installation import Installation, installed
from tinymodel import write_package


@pytest.fixture
def plain(tmp_path: Path, face_models: Path) -> Iterator[Installation]:
    """fimq as it comes, and a folder with a model that nobody imported yet."""
    write_package(tmp_path / "mine", version="2")
    with installed(tmp_path, face_models) as made:
        yield made


def test_from_a_folder_to_a_promoted_model_and_back(plain: Installation) -> None:
    (wheel,) = plain.documents("models", "list")
    assert (wheel["place"], wheel["names"]) == ("wheel", ["default"])

    (mine,) = plain.documents("models", "import", "mine")
    jsonschema.validate(mine, schema("model"))
    assert (mine["model"], mine["place"], mine["names"]) == ("tiny-binary@2", "imported", [])
    assert "imported before" in plain.run("models", "import", "mine").stderr

    (promoted,) = plain.documents("models", "promote", "tiny-binary@2")
    jsonschema.validate(promoted, schema("promotion"))
    assert (promoted["model"], promoted["before"]) == ("tiny-binary@2", None)
    named = {row["model"]: row["names"] for row in plain.documents("models", "list")}
    assert named == {wheel["model"]: [], "tiny-binary@2": ["default"]}
    assert plain.run("models", "list").stdout.splitlines()[1].startswith("* tiny-binary@2")
    (doctor,) = plain.documents("doctor")
    assert any("tiny-binary" in finding["says"] for finding in doctor)

    (back,) = plain.documents("models", "rollback")
    assert (back["kind"], back["model"], back["before"]) == ("rollback", None, "tiny-binary@2")
    refused = plain.run("models", "rollback")
    assert refused.returncode == 2
    assert "[nothing_to_roll_back]" in refused.stderr
    told = plain.documents("models", "history")
    assert [row["kind"] for row in told] == ["rollback", "promote"]
    assert "by " in plain.run("models", "history").stdout


def test_a_zip_is_the_folder_that_was_packed(plain: Installation) -> None:
    shutil.make_archive(str(plain.folder / "mine"), "zip", plain.folder, "mine")
    (from_zip,) = plain.documents("models", "import", "mine.zip")
    (from_folder,) = plain.documents("models", "import", "mine")
    assert from_zip == from_folder
    assert len(plain.rows(Model)) == 1


def test_show_and_card_tell_of_any_version(plain: Installation) -> None:
    plain.run("models", "import", "mine")
    (manifest,) = plain.documents("models", "show", "tiny-binary@2")
    jsonschema.validate(manifest, schema("manifest"))
    assert manifest["version"] == "2"
    said = plain.run("models", "show", "tiny-binary@2").stdout
    assert "real, manipulated (manipulated)" in said
    assert plain.run("models", "card", "tiny-binary@2").stdout.startswith("# A tiny model")


@pytest.mark.parametrize(
    ("wrong", "code", "status"),
    [
        ("scores", "model_invalid", 3),
        ("hash", "model_invalid", 3),
        ("no card", "model_missing", 3),
        ("no network", "model_missing", 3),
        ("text", "model_invalid", 3),
        ("version", "version_taken", 2),
    ],
)
def test_what_is_not_sound_is_refused_with_its_code(
    plain: Installation, wrong: str, code: str, status: int
) -> None:
    path = plain.folder / "mine"
    if wrong == "scores":
        write_package(path, version="2", golden_change=0.1)
    elif wrong == "hash":
        (path / "model.onnx").write_bytes(b"other")
    elif wrong in {"no card", "no network"}:
        (path / {"no card": "card.md", "no network": "model.onnx"}[wrong]).unlink()
    elif wrong == "text":
        path = plain.folder / "mine.zip"
        path.write_text("no archive")
    else:
        plain.run("models", "import", "mine")
        write_package(path, version="2", matrix=np.eye(3, 2, dtype=np.float32))
    ran = plain.run("models", "import", path)
    assert ran.returncode == status
    assert f"[{code}]" in ran.stderr
    places = [row["place"] for row in plain.documents("models", "list")]
    assert places.count("imported") == (wrong == "version")


def test_verify_reads_every_byte_of_every_model(plain: Installation) -> None:
    plain.run("models", "import", "mine")
    write_package(plain.folder / "models" / "local", version="3")
    names = ["fimq-b0@0.3.0", "tiny-binary@3", "tiny-binary@2"]
    told = plain.documents("models", "verify")
    assert [(row["model"], row["state"]) for row in told] == [(name, "ok") for name in names]

    (model,) = plain.rows(Model)
    (plain.data_dir / "store" / model.store_key).write_bytes(b"x")
    (plain.folder / "models" / "local" / "golden.npz").write_bytes(b"x")
    ran = plain.run("models", "verify", "--json")
    bad = {
        row["model"]: row["error"]["code"]
        for row in map(json.loads, ran.stdout.splitlines())
        if row["state"] == "bad"
    }
    assert bad == {"tiny-binary@2": "model_damaged", "tiny-binary@3": "model_invalid"}
    assert ran.returncode == 5
    assert plain.run("models", "verify", "tiny-binary@3").returncode == 3
    assert plain.run("models", "verify", "default").returncode == 0
    promoted = plain.run("models", "promote", "tiny-binary@2")
    assert promoted.returncode == 5
    assert "[model_damaged]" in promoted.stderr


def test_a_broken_folder_hides_no_other_model(plain: Installation) -> None:
    folder = write_package(plain.folder / "models" / "broken")
    (folder / "manifest.json").write_text("{}")
    ran = plain.run("models", "list")
    assert ran.returncode == 3
    assert "fimq-b0" in ran.stdout
    assert "broken" in ran.stderr
    assert "[model_invalid]" in ran.stderr
