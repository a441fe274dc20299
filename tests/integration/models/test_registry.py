"""The registry: what a name means, for how long, and what becomes of damaged bytes."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from fimq.errors import (
    ModelAway,
    ModelDamaged,
    ModelInvalid,
    ModelMissing,
    VersionTaken,
)
from fimq.ledger import contents, models
from fimq.ledger.tables import Model
from fimq.models import installed
from fimq.models.changes import Changes
from fimq.models.files import PackageFiles
from fimq.models.registry import Registry
from fimq.store.base import open_store
from fimq_api.proof import prove
from registered import ONE, TWO, damage, means, together, unproved
from scenes import all_of
from tinymodel import make_network, weights, write_package


class TestFinding:
    def test_default_is_the_wheels_until_something_is_promoted(self, registry, three) -> None:
        assert registry.find("default", "default").place == installed.BUILT_IN
        three.promote(ONE, "default", unproved)
        assert means(registry) == ONE

    def test_a_folder_of_the_machine_goes_before_the_wheel_and_behind_a_promotion(
        self, registry, three, tmp_path
    ) -> None:
        write_package(tmp_path / "models" / "default", "seven", version="9")
        assert means(registry) == "tiny-seven@9"
        assert means(registry, "tiny-seven@9") == "tiny-seven@9"
        three.promote(ONE, "default", unproved)
        assert means(registry) == ONE

    @pytest.mark.usefixtures("three")
    def test_a_version_is_found_by_its_label_without_a_promotion(self, registry) -> None:
        assert means(registry, TWO) == TWO
        assert registry.open(registry.find("default", TWO)).manifest.version == "2"

    @pytest.mark.usefixtures("three")
    @pytest.mark.parametrize(
        "name", ["tiny-binary", "tiny-binary@4", "", "@1", "../models", "a@b@c", "x" * 200, "ä"]
    )
    def test_what_is_not_here_is_missing(self, registry, name) -> None:
        with pytest.raises(ModelMissing):
            registry.find("default", name)

    def test_another_tenants_models_are_not_seen(self, registry, three) -> None:
        three.promote(ONE, "default", unproved)
        assert registry.find("other", "default").place == installed.BUILT_IN
        with pytest.raises(ModelMissing):
            registry.find("other", ONE)

    def test_a_job_finds_its_model_by_hash_whatever_is_promoted(self, registry, three) -> None:
        pinned = registry.find("default", ONE).package_sha256
        three.promote(TWO, "default", unproved)
        assert registry.pinned("default", pinned).label == ONE
        wheel = installed.package_sha256(installed.BUILT_IN)
        assert registry.pinned("default", wheel).place == installed.BUILT_IN
        with pytest.raises(ModelAway):
            registry.pinned("default", "0" * 64)

    def test_a_folder_that_changed_is_another_package(self, registry, tmp_path) -> None:
        folder = write_package(tmp_path / "models" / "default")
        found = registry.find("default", "default")
        write_package(folder, version="2")
        assert registry.find("default", "default").package_sha256 != found.package_sha256
        with pytest.raises(ModelAway):
            registry.open(found)


class TestImport:
    def test_it_promotes_nothing(self, registry, changes, package) -> None:
        model, entered = changes.add(package(), unproved)
        assert (models.label(model), entered) == (ONE, True)
        assert registry.find("default", "default").place == installed.BUILT_IN

    def test_the_same_again_changes_nothing(self, ledger, changes, package) -> None:
        first, _ = changes.add(package(), unproved)
        again, entered = changes.add(package(), unproved)
        assert (again.id, entered) == (first.id, False)
        assert len(all_of(ledger, Model)) == 1

    @pytest.mark.parametrize("change", ["network", "manifest", "card"])
    def test_other_bytes_under_the_same_version_are_refused(
        self, ledger, changes, package, tmp_path, change
    ) -> None:
        changes.add(package(), unproved)
        folder = write_package(tmp_path / "other", matrix=weights(2) * 2)
        if change != "network":
            folder = write_package(tmp_path / "other")
            name = {"manifest": "manifest.json", "card": "card.md"}[change]
            with (folder / name).open("a") as file:
                file.write("\n")
        with pytest.raises(VersionTaken):
            changes.add(PackageFiles.from_folder(folder), unproved)
        assert len(all_of(ledger, Model)) == 1

    def test_many_at_once_import_it_once(self, ledger, store, registry, package) -> None:
        files = package()
        entered: list[bool] = []

        def add() -> None:
            changes = Changes(ledger, store, registry, tenant="default", by="a thread")
            entered.append(changes.add(files, unproved)[1])

        together([add] * 6)
        assert sorted(entered) == [False] * 5 + [True]
        assert len(all_of(ledger, Model)) == 1

    def test_it_mends_what_is_damaged_in_the_store(
        self, registry, changes, package, tmp_path
    ) -> None:
        model, _ = changes.add(package(), unproved)
        damage(tmp_path, model)
        with pytest.raises(ModelDamaged):
            registry.open(registry.find("default", ONE))
        changes.add(package(), unproved)
        assert registry.open(registry.find("default", ONE)).manifest.label == ONE

    def test_the_deletion_of_a_video_spares_a_model(self, ledger, changes, package) -> None:
        model, _ = changes.add(package(), unproved)
        with ledger.read() as session:
            assert contents.is_needed(session, model.store_key)
            assert not contents.is_needed(session, "some other key")

    @pytest.mark.parametrize("where", ["proof", "put", "row"])
    def test_a_kill_in_its_middle_leaves_nothing_half(
        self, ledger, ledger_url, changes, tmp_path, where
    ) -> None:
        folder = write_package(tmp_path / "killed", version="7")
        ran = subprocess.run(
            [sys.executable, "-c", _KILLED, where, ledger_url, tmp_path / "store", folder],
            check=False,
        )
        assert ran.returncode == -signal.SIGKILL
        assert all_of(ledger, Model) == []
        objects = [path for path in (tmp_path / "store").rglob("??/??/*") if path.is_file()]
        assert len(objects) == (1 if where == "row" else 0)
        assert changes.add(PackageFiles.from_folder(folder), unproved)[1]
        found = changes.registry.find("default", "tiny-binary@7")
        assert changes.registry.open(found).manifest.version == "7"


#: Imports a package, and dies at a certain place.
_KILLED = """
import io, os, signal, sys
from pathlib import Path
from fimq.ledger import models
from fimq.ledger.database import Ledger
from fimq.models.changes import Changes
from fimq.models.files import PackageFiles
from fimq.models.registry import Registry
from fimq.store import folder
from fimq.store.base import open_store
where, url, store, package = sys.argv[1:]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if where == "put":
    folder.os.fsync = die
if where == "row":
    models.add = die
ledger, store = Ledger(url), open_store(f"file://{store}", make=True)
changes = Changes(ledger, store, Registry(ledger, store, Path("none")), tenant="default", by="x")
changes.add(PackageFiles.from_folder(Path(package)), die if where == "proof" else lambda _: None)
"""


class TestCopies:
    """A bucket, and a machine's cache of it: one of them is damaged."""

    @pytest.fixture
    def cached(self, ledger, bucket, tmp_path) -> Registry:
        store = open_store(bucket.url, cache_dir=tmp_path / "cache", cache_bytes=2**30)
        return Registry(ledger, store, tmp_path / "models")

    @pytest.fixture
    def imported(self, ledger, bucket, cached, package) -> Changes:
        store = open_store(bucket.url)
        plain = Registry(ledger, store, cached.installed_models)
        made = Changes(ledger, store, plain, tenant="default", by="a test")
        made.add(package(), unproved)
        cached.open(cached.find("default", ONE))
        return made

    @pytest.mark.usefixtures("imported")
    def test_a_damaged_copy_is_fetched_again(self, cached, tmp_path) -> None:
        found = cached.find("default", ONE)
        (tmp_path / "cache" / found.place.object_sha256).write_bytes(b"damaged")
        assert cached.open(found).manifest.label == ONE

    def test_a_sound_copy_judges_on_while_the_bucket_is_damaged_and_import_mends_it(
        self, cached, imported, bucket, package
    ) -> None:
        found = cached.find("default", ONE)
        # As a disk does it: the size and the note beside the bytes stay as they were.
        key, sha256 = found.place.store_key, found.place.object_sha256
        bucket.write(key, b"x" * len(package().archive()), says=sha256)
        assert cached.open(found).manifest.label == ONE
        with pytest.raises(ModelDamaged):
            imported.registry.open(found)
        imported.add(package(), unproved)
        assert imported.registry.open(found).manifest.label == ONE


class TestProof:
    def test_a_sound_package_is_proved_in_a_process_of_its_own(self, changes, package) -> None:
        said: list[dict] = []
        changes.add(package(), lambda archive: said.append(prove(archive)))
        assert said[0]["model"] == ONE
        assert said[0]["difference"] <= 2e-3
        assert said[0]["runtime"]["name"] in {"openvino", "onnxruntime"}

    @pytest.mark.parametrize(
        "how",
        [
            {"golden_change": 0.01},
            {"content": make_network(3)},
            {"content": make_network(2, last="Softplus")},
            {"content": b"no network"},
        ],
        ids=["other scores", "other classes", "a changed layer", "no network"],
    )
    def test_what_does_not_score_as_it_should_is_not_kept(
        self, ledger, changes, package, tmp_path, how
    ) -> None:
        with pytest.raises(ModelInvalid):
            changes.add(package(**how), prove)
        assert all_of(ledger, Model) == []
        assert not (tmp_path / "store").exists()

    def test_it_is_given_no_secret(self, changes, package, monkeypatch) -> None:
        seen: list[dict] = []
        run = subprocess.run

        def watched(*args, **kwargs):
            seen.append(kwargs["env"])
            return run(*args, **kwargs)

        monkeypatch.setattr("fimq_api.proof.subprocess.run", watched)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
        monkeypatch.setenv("FIMQ_LEDGER_URL", "postgresql://u:s3cret@db/fimq")
        changes.add(package(), prove)
        assert seen
        assert "s3cret" not in str(seen)

    def test_one_that_is_killed_is_no_proof(self, changes, package, monkeypatch) -> None:
        dies = [sys.executable, "-c", "import os; os.kill(os.getpid(), 11)"]
        run = subprocess.run
        monkeypatch.setattr(
            "fimq_api.proof.subprocess.run", lambda _, **kwargs: run(dies, **kwargs)
        )
        with pytest.raises(ModelInvalid, match="broke off"):
            changes.add(package(), prove)
