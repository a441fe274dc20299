import os

import numpy as np
import pytest

from fimq.errors import ArraysDamaged, CheckpointDamaged, DiskFull
from fimq_training.arrays import map_arrays, read_arrays, write_arrays
from fimq_training.fitting.checkpoint import Checkpoints

ARRAYS = {"a": np.arange(1000), "word": np.array(["x", "yz"])}


def full(path):
    """What is written beside this path goes where there is no room."""
    path.with_name(f"{path.name}.part{os.getpid()}").symlink_to("/dev/full")


@pytest.mark.parametrize("packed", [False, True])
def test_they_come_back_and_leave_nothing_beside(tmp_path, packed):
    write_arrays(tmp_path / "deep" / "x.npz", ARRAYS, packed=packed)
    again = read_arrays(tmp_path / "deep" / "x.npz")
    assert all(np.array_equal(again[name], value) for name, value in ARRAYS.items())
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.npz"]


def test_a_full_disk_leaves_what_was_there(tmp_path):
    path = tmp_path / "x.npz"
    write_arrays(path, ARRAYS)
    before = path.read_bytes()
    full(path)
    with pytest.raises(DiskFull, match=r"x\.npz"):
        write_arrays(path, {"a": np.zeros(10**6)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_mapped_ones_are_the_same(tmp_path):
    arrays = {**ARRAYS, "rows": np.arange(24, dtype=np.uint8).reshape(2, 3, 4)}
    write_arrays(tmp_path / "x.npz", arrays)
    mapped = map_arrays(tmp_path / "x.npz")
    assert mapped.keys() == arrays.keys()
    for name, value in arrays.items():
        assert isinstance(mapped[name], np.memmap)
        assert mapped[name].dtype == value.dtype
        assert np.array_equal(mapped[name], value)
    with pytest.raises(ValueError, match="read-only"):
        mapped["rows"][0] = 1


def test_mapped_ones_are_whole_and_not_packed(tmp_path):
    path = tmp_path / "x.npz"
    write_arrays(path, ARRAYS, packed=True)
    with pytest.raises(ArraysDamaged, match="packed"):
        map_arrays(path)
    write_arrays(path, ARRAYS)
    damaged = bytearray(path.read_bytes())
    damaged[4000] ^= 1  # among the numbers of `a`
    path.write_bytes(damaged)
    with pytest.raises(ArraysDamaged, match=r"a\.npy"):
        map_arrays(path)


@pytest.mark.parametrize("read_arrays", [read_arrays, map_arrays])
def test_what_is_cut_short_or_could_run_is_refused(tmp_path, read_arrays):
    path = tmp_path / "x.npz"
    write_arrays(path, ARRAYS)
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ArraysDamaged):
            read_arrays(path)
    np.savez(path, harm=np.array([object()], object))
    with pytest.raises(ArraysDamaged):
        read_arrays(path)
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "none.npz")


class TestCheckpoints:
    def test_the_one_before_stands_in_for_one_that_was_cut_short(self, tmp_path):
        states = Checkpoints(tmp_path)
        assert states.load() is None
        for step in (1, 2):
            states.save({"step": np.array(step)})
        states.latest.write_bytes(b"PK")
        assert int(states.load()["step"]) == 1
        states.previous.write_bytes(b"")
        with pytest.raises(CheckpointDamaged):
            states.load()

    def test_a_full_disk_costs_neither(self, tmp_path):
        states = Checkpoints(tmp_path)
        for step in (1, 2):
            states.save({"step": np.array(step)})
        full(tmp_path / "state.next.npz")
        with pytest.raises(DiskFull):
            states.save({"step": np.zeros(10**6)})
        assert int(states.load()["step"]) == 2
        assert states.previous.exists()
