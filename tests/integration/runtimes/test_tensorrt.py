"""The TensorRT runtime on a GPU on paper (`papergpu`): its orders, and what it does not believe."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

import papergpu
from fimq.errors import (
    GpuFailed,
    GpuLost,
    ModelInvalid,
    RuntimeMissing,
    RuntimeNotInstalled,
    RuntimeUnusable,
)
from fimq_worker.runtimes import parity
from fimq_worker.runtimes.base import NoSuchPrecision
from fimq_worker.runtimes.choose import RUNTIMES, choose
from fimq_worker.runtimes.tensorrt.device import Cuda
from fimq_worker.runtimes.tensorrt.flavour import TENSORRT, TENSORRT_RTX, Flavour
from fimq_worker.runtimes.tensorrt.runtime import EngineSource, TensorRtRuntime
from papergpu import CudaError, PaperCuda, PaperTensorRt


class Bench:
    """A card on paper and what runs on it."""

    def __init__(self, folder: Path) -> None:
        self.cuda = PaperCuda()
        self.trt = PaperTensorRt(self.cuda)
        self.folder = folder

    def load(self, package: Any, precision: Any = "f16", flavour: Flavour = TENSORRT_RTX) -> Any:
        source = EngineSource(flavour, self.trt, self.folder)
        return TensorRtRuntime(source, Cuda(self.cuda), package, precision)

    def ways(self) -> Any:
        return tuple(
            lambda package, _engines, precision=precision: self.load(package, precision)
            for precision in ("f16", "f32")
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "engines")


class TestScores:
    @pytest.mark.parametrize("precision", ["f16", "f32"])
    @pytest.mark.parametrize("flavour", [TENSORRT, TENSORRT_RTX])
    def test_golden_crops_get_their_scores(self, bench, package, precision, flavour):
        runtime = bench.load(package, precision, flavour)
        measured = parity.measure(runtime, package)
        assert measured.passes
        assert (measured.difference > 1e-6) == (precision == "f16")
        assert (runtime.name, runtime.precision) == (flavour.name, precision)

    def test_more_crops_than_the_profile_takes_go_in_order_and_in_several_batches(
        self, bench, package
    ):
        runtime, golden = bench.load(package), package.golden
        crops = np.tile(golden.crops, (17, 1, 1, 1))
        scores = runtime.score(crops)
        assert np.allclose(scores, np.tile(golden.scores, (17, 1)), atol=2e-3)
        assert [shape[0] for shape in bench.trt.runs] == [64, 64, 8]

    def test_scores_do_not_change_with_the_next_call(self, bench, package):
        runtime = bench.load(package)
        first = runtime.score(package.golden.crops[:2])
        before = first.copy()
        runtime.score(package.golden.crops[2:4])
        assert np.array_equal(first, before)

    def test_no_crops_ask_nothing_of_the_card(self, bench, package):
        runtime = bench.load(package)
        assert runtime.score(package.golden.crops[:0]).shape == (0, len(package.manifest.classes))
        assert bench.trt.runs == []

    def test_crops_of_another_size_are_refused(self, bench, package):
        with pytest.raises(ModelInvalid):
            bench.load(package).score(np.zeros((1, 5, 5, 3), np.uint8))

    def test_another_number_of_classes_is_refused(self, bench, build, network):
        package = build(content=network(classes=3))
        with pytest.raises(ModelInvalid, match="classes"):
            bench.load(package).score(package.golden.crops)

    @pytest.mark.parametrize("precision", ["f16", "f32"])
    def test_a_file_that_is_no_network_is_refused(self, bench, build, precision):
        with pytest.raises(ModelInvalid):
            bench.load(build(content=b"not a network"), precision)

    def test_memory_is_allocated_once_and_given_back(self, bench, package):
        runtime = bench.load(package)
        for count in (1, 8, 3):
            runtime.score(package.golden.crops[:count])
        assert (bench.cuda.calls["cudaMallocHost"], bench.cuda.calls["cudaMalloc"]) == (2, 2)
        assert max(map(len, bench.cuda.card.values())) == 64 * 16 * 16 * 3
        del runtime
        gc.collect()
        assert (bench.cuda.host, bench.cuda.card, bench.cuda.streams) == ({}, {}, {})


class TestEngine:
    def test_its_profile_is_the_batchers(self, bench, package):
        bench.load(package)
        (config,) = bench.trt.built
        (profile,) = config.profiles
        assert [shape[0] for shape in profile.shapes] == [1, 8, 64]
        assert config.flags == set(), "TF32 is off"

    def test_that_of_rtx_is_for_the_cards_capability(self, bench, package):
        bench.load(package, flavour=TENSORRT_RTX)
        assert bench.trt.built[0].capabilities == [papergpu.ComputeCapability.SM89]

    def test_that_of_tensorrt_is_for_this_very_card(self, bench, package):
        bench.load(package, flavour=TENSORRT)
        assert bench.trt.built[0].capabilities == []
        (file,) = bench.folder.glob("*.engine")
        assert "paper-4090-sm89" in file.name

    def test_it_is_built_once(self, bench, package):
        bench.load(package)
        bench.load(package)
        assert len(bench.trt.built) == 1

    def test_one_of_another_version_is_built_again_and_the_old_one_goes(self, bench, package):
        bench.load(package)
        bench.trt.__version__ = "1.8.0"
        bench.load(package)
        assert len(bench.trt.built) == 2
        assert len(list(bench.folder.glob("*.engine"))) == 1

    def test_one_that_is_whole_and_will_not_load_is_built_again(self, bench, package):
        bench.load(package)
        source = EngineSource(TENSORRT_RTX, bench.trt, bench.folder)
        key = source.key(package, "SM89", "f16")
        source.cache._keep(key, b"from an older driver")
        with capture_logs() as logs:
            runtime = bench.load(package)
        assert parity.measure(runtime, package).passes
        assert [line["event"] for line in logs] == ["engine_discarded", "engine_built"]

    def test_a_card_that_rtx_does_not_know_is_refused_with_what_does(self, bench, package):
        bench.cuda.cudaGetDeviceProperties = lambda _: (
            CudaError.cudaSuccess,
            type("H100", (), {"name": b"NVIDIA H100", "major": 9, "minor": 0}),
        )
        with pytest.raises(RuntimeUnusable, match=r"SM90 \(NVIDIA H100\): use tensorrt or"):
            bench.load(package)


class TestPrecision:
    def test_half_that_fails_the_gate_is_told_and_single_judges(self, bench, build, monkeypatch):
        package = build()
        monkeypatch.setattr(parity, "MOST_DIFFERENCE", 1e-6)
        with capture_logs() as logs:
            choice = choose(package, bench.folder, runtimes={"tensorrt-rtx": bench.ways()})
        assert choice.runtime.precision == "f32"
        (refusal,) = choice.refusals
        assert refusal.reason.startswith("f16 fails the parity gate")
        assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
            "runtime_refused"
        ]

    def test_a_network_that_cannot_be_halved_is_computed_in_single(self, bench, build, network):
        package = build(content=network(classes=2, matrix=np.full((3, 2), 7e4, np.float32)))
        with pytest.raises(NoSuchPrecision, match="beyond"):
            bench.load(package)
        assert bench.load(package, "f32").precision == "f32"


class TestTrouble:
    """Each call that may fail does, once; none is believed."""

    @pytest.mark.parametrize(
        "call",
        ["cudaMallocHost", "cudaMalloc", "cudaStreamCreateWithFlags", "cudaGetDeviceProperties"],
    )
    def test_cuda_that_fails_while_loading(self, bench, package, call):
        bench.cuda.fails[call] = CudaError.cudaErrorMemoryAllocation
        with pytest.raises((GpuFailed, RuntimeUnusable), match="cudaErrorMemoryAllocation"):
            bench.load(package)
        gc.collect()
        assert (bench.cuda.host, bench.cuda.card) == ({}, {})

    @pytest.mark.parametrize("call", ["cudaMemcpyAsync", "cudaStreamSynchronize"])
    def test_cuda_that_fails_once_fails_the_batch_and_not_the_next(self, bench, package, call):
        runtime = bench.load(package)
        bench.cuda.fails[call] = CudaError.cudaErrorMemoryAllocation
        with pytest.raises(GpuFailed, match="cudaErrorMemoryAllocation") as raised:
            runtime.score(package.golden.crops)
        assert type(raised.value) is GpuFailed
        assert not raised.value.final
        assert parity.measure(runtime, package).passes

    def test_a_context_that_is_broken_for_good_loses_the_gpu(self, bench, package):
        runtime = bench.load(package)
        bench.cuda.broken = CudaError.cudaErrorIllegalAddress
        with pytest.raises(GpuLost, match="cudaErrorIllegalAddress"):
            runtime.score(package.golden.crops)

    @pytest.mark.parametrize(
        "call", ["build_serialized_network", "deserialize_cuda_engine", "create_execution_context"]
    )
    def test_a_none_while_loading_is_an_error_with_tensorrts_reason(self, bench, package, call):
        bench.trt.refuses.add(call)
        with pytest.raises(RuntimeUnusable, match=f"Error Code 1: {call} on paper"):
            bench.load(package, "f32")

    def test_a_false_while_loading_is_an_error(self, bench, package):
        bench.trt.refuses.add("set_tensor_address")
        with pytest.raises(GpuFailed, match="set_tensor_address on paper"):
            bench.load(package)

    @pytest.mark.parametrize("call", ["set_input_shape", "execute_async_v3"])
    def test_a_false_while_scoring_is_an_error(self, bench, package, call):
        runtime = bench.load(package)
        bench.trt.refuses.add(call)
        with pytest.raises(GpuFailed, match=f"{call} on paper"):
            runtime.score(package.golden.crops)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"driver": 0}, "no NVIDIA driver"),
            ({"cards": 0}, "no GPU is visible"),
            (
                {"broken": CudaError.cudaErrorInsufficientDriver},
                r"cudaErrorInsufficientDriver \(the driver knows CUDA 12.8\)",
            ),
        ],
    )
    def test_without_a_card_the_next_runtime_judges_and_one_line_tells_why(
        self, bench, package, change, says
    ):
        vars(bench.cuda).update(change)
        cpu = {"openvino": RUNTIMES["openvino"]}
        with capture_logs() as logs:
            choice = choose(package, bench.folder, runtimes={"tensorrt-rtx": bench.ways(), **cpu})
        assert choice.runtime.name == "openvino"
        (line,) = logs
        with pytest.raises(RuntimeMissing, match=says):
            choose(package, bench.folder, runtimes={"tensorrt-rtx": bench.ways()})
        assert line["reason"] == choice.refusals[0].reason

    def test_a_package_that_is_not_there_is_not_installed(self):
        with pytest.raises(RuntimeNotInstalled):
            Flavour("tensorrt", "tensorrt_of_nobody", ahead=False).load()

    def test_a_package_without_its_libraries_is_told_from_one_that_is_not_there(
        self, tmp_path, monkeypatch
    ):
        (tmp_path / "half_installed.py").write_text("raise ImportError('libnvinfer.so.11: no')")
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(RuntimeUnusable, match="cannot be loaded: libnvinfer"):
            Flavour("tensorrt", "half_installed", ahead=False).load()
