"""The engine cache: keys, whole files, who may write it, and who builds."""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from fimq.errors import RuntimeUnusable
from fimq_worker.batcher import LARGEST
from fimq_worker.runtimes.tensorrt.cache import EngineCache
from fimq_worker.runtimes.tensorrt.key import EngineKey, Profile

KEY = EngineKey("a" * 64, "tensorrt-rtx", "1.7.1", "SM89", "f16")
OTHERS = [
    replace(KEY, model_sha256="b" * 64),
    replace(KEY, model_sha256="a" * 63 + "b"),
    replace(KEY, runtime="tensorrt"),
    replace(KEY, version="1.7.2"),
    replace(KEY, gpu="SM86"),
    replace(KEY, precision="f32"),
    replace(KEY, profile=Profile(1, 8, 32)),
    replace(KEY, recipe=KEY.recipe + 1),
]
ENGINE = bytes(range(256)) * 40


def never() -> bytes:
    pytest.fail("an engine was built that was there")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


@pytest.fixture
def kept(cache: EngineCache) -> Path:
    """The file of an engine that was built."""
    assert cache.get(KEY, lambda: ENGINE) == ENGINE
    return cache.folder / KEY.file_name


class TestKey:
    def test_its_profile_ends_with_the_batchers_largest(self):
        assert Profile().most == LARGEST

    @pytest.mark.parametrize("other", OTHERS)
    def test_each_fact_makes_another_file(self, other):
        assert other.file_name != KEY.file_name

    def test_every_fact_is_tried_above(self):
        changed = {
            name
            for other in OTHERS
            for name, value in asdict(other).items()
            if value != asdict(KEY)[name]
        }
        assert changed == set(asdict(KEY))

    @given(gpu=st.text(max_size=200), version=st.text(max_size=50))
    def test_a_name_is_never_a_path(self, gpu, version):
        name = replace(KEY, gpu=gpu[:60], version=version).file_name
        assert Path(name).name == name
        assert not name.startswith(".")
        assert len(name) < 200


class TestCache:
    @pytest.mark.usefixtures("kept")
    def test_what_was_built_is_found(self, cache):
        assert cache.get(KEY, never) == ENGINE

    @pytest.mark.parametrize("other", OTHERS)
    @pytest.mark.usefixtures("kept")
    def test_one_for_something_else_is_not_found(self, cache, other):
        assert cache.find(other) is None

    @pytest.mark.usefixtures("kept")
    def test_a_newer_one_takes_the_older_ones_place(self, cache):
        newer = replace(KEY, version="1.8")
        cache.get(newer, lambda: b"newer")
        assert [engine.key["version"] for engine in cache.kept()] == ["1.8"]

    @pytest.mark.parametrize("name", ["model_sha256", "gpu", "precision", "runtime"])
    @pytest.mark.usefixtures("kept")
    def test_one_for_another_model_or_card_stays(self, cache, name):
        other = next(o for o in OTHERS if getattr(o, name) != getattr(KEY, name))
        cache.get(other, lambda: b"other")
        assert len(list(cache.kept())) == 2
        assert cache.get(KEY, never) == ENGINE

    @given(data=st.data())
    def test_no_changed_or_cut_file_is_believed(self, tmp_path_factory, data):
        cache = EngineCache(tmp_path_factory.mktemp("engines"))
        cache.get(KEY, lambda: ENGINE[:300])
        file = cache.folder / KEY.file_name
        whole = file.read_bytes()
        place = data.draw(st.integers(0, len(whole) - 1))
        if data.draw(st.booleans()):
            changed = whole[:place]
        else:
            flipped = whole[place] ^ data.draw(st.integers(1, 255))
            changed = whole[:place] + bytes([flipped]) + whole[place + 1 :]
        file.write_bytes(changed)
        with capture_logs() as logs:
            found = cache.find(KEY)
        assert found is None
        assert not file.exists()
        assert [line["event"] for line in logs] == ["engine_discarded"]

    def test_a_damaged_one_is_built_again(self, cache, kept):
        kept.write_bytes(kept.read_bytes()[:-1])
        assert cache.get(KEY, lambda: b"again") == b"again"
        assert cache.get(KEY, never) == b"again"

    def test_one_under_another_ones_name_is_not_believed(self, cache, kept):
        other = cache.folder / OTHERS[3].file_name
        kept.rename(other)
        assert cache.find(OTHERS[3]) is None
        assert not other.exists()

    def test_a_build_that_fails_leaves_nothing(self, cache):
        def fails() -> bytes:
            raise RuntimeUnusable

        with pytest.raises(RuntimeUnusable):
            cache.get(KEY, fails)
        assert [file.name for file in cache.folder.iterdir()] == ["lock"]
        assert cache.get(KEY, lambda: ENGINE) == ENGINE

    def test_many_who_want_one_wait_for_the_one_who_builds(self, cache):
        built = []
        building, go_on = threading.Event(), threading.Event()

        def build() -> bytes:
            built.append(1)
            building.set()
            assert go_on.wait(20)
            return ENGINE

        found: list[bytes] = []
        many = [
            threading.Thread(target=lambda: found.append(cache.get(KEY, build))) for _ in range(8)
        ]
        for one in many:
            one.start()
        assert building.wait(20)
        go_on.set()
        for one in many:
            one.join(20)
        assert found == [ENGINE] * 8
        assert len(built) == 1

    @pytest.mark.usefixtures("kept")
    def test_clear_removes_every_engine(self, cache):
        assert cache.clear() == 1
        assert list(cache.kept()) == []


class TestFolder:
    def test_it_is_its_owners_alone(self, cache, kept):
        assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    @pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
    @pytest.mark.usefixtures("kept")
    def test_one_that_others_may_write_is_refused(self, cache, mode):
        cache.folder.chmod(mode)
        with pytest.raises(RuntimeUnusable, match="can be written by others"):
            cache.get(KEY, never)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
    @pytest.mark.usefixtures("kept")
    def test_one_of_another_user_is_refused(self, cache):
        os.chown(cache.folder, 12345, 12345)
        with pytest.raises(RuntimeUnusable, match="can be written by others"):
            cache.find(KEY)

    @pytest.mark.usefixtures("kept")
    def test_in_a_read_only_one_engines_serve_and_new_ones_are_not_kept(self, cache, monkeypatch):
        def read_only(_path: Path) -> int:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr("fimq_worker.runtimes.tensorrt.cache.filelock.take", read_only)
        assert cache.get(KEY, never) == ENGINE
        with capture_logs() as logs:
            assert cache.get(OTHERS[0], lambda: b"other") == b"other"
        assert [line["event"] for line in logs] == ["engine_built", "engine_not_kept"]
        assert len(list(cache.kept())) == 1

    def test_one_that_is_a_file_is_told(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(RuntimeUnusable, match="Not a directory"):
            EngineCache(tmp_path / "file" / "engines").find(KEY)

    def test_a_full_disk_costs_the_engine_and_not_the_work(self, cache, monkeypatch):
        def full(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("fimq_worker.runtimes.tensorrt.cache.os.fsync", full)
        with capture_logs() as logs:
            assert cache.get(KEY, lambda: ENGINE) == ENGINE
        assert [line["event"] for line in logs] == ["engine_built", "engine_not_kept"]
        assert [file.name for file in cache.folder.iterdir()] == ["lock"]
