"""The real tensorrt-rtx, without a card: real engines, and its real refusals.

An engine of tensorrt-rtx can be built where there is no GPU, though neither loaded nor asked
for its layers; those are read from the network that the engine was built of. CI installs the
package, so that there nothing of this is skipped.
"""

from __future__ import annotations

import inspect
import json
import os
import time
from collections import Counter
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

import papergpu
from fimq.errors import GpuLost, ModelInvalid, RuntimeUnusable
from fimq.models.installed import BUILT_IN
from fimq.models.package import ModelPackage
from fimq_api.cli.main import main
from fimq_worker.runtimes.choose import choose
from fimq_worker.runtimes.tensorrt.building import batches, build, parse
from fimq_worker.runtimes.tensorrt.device import Buffer, Cuda, Stream
from fimq_worker.runtimes.tensorrt.flavour import TENSORRT_RTX
from fimq_worker.runtimes.tensorrt.half import halved
from fimq_worker.runtimes.tensorrt.key import Profile
from fimq_worker.runtimes.tensorrt.messages import Messages
from fimq_worker.runtimes.tensorrt.runtime import EngineSource, TensorRtRuntime

#: As paper has them, and as TensorRT does.
NAMES = {
    papergpu.Builder: "Builder",
    papergpu.Network: "INetworkDefinition",
    papergpu.OnnxParser: "OnnxParser",
    papergpu.BuilderConfig: "IBuilderConfig",
    papergpu.OptimizationProfile: "IOptimizationProfile",
    papergpu.Runtime: "Runtime",
    papergpu.Engine: "ICudaEngine",
    papergpu.Context: "IExecutionContext",
}


def needed(module: str) -> Any:
    """A module that CI installs."""
    try:
        return import_module(module)
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail(f"{module} is missing, which .ci/run installs")
        pytest.skip("the extra `tensorrt-rtx` is not installed")


@pytest.fixture(scope="module")
def trt() -> Any:
    return needed("tensorrt_rtx")


@pytest.fixture(scope="module")
def without_gpu() -> None:
    error, count = needed("cuda.bindings.runtime").cudaGetDeviceCount()
    if not int(error) and count:
        pytest.skip("this machine has a GPU")


@pytest.fixture(scope="module")
def default() -> Any:
    return ModelPackage.open(BUILT_IN)


@pytest.fixture
def source(trt, tmp_path) -> EngineSource:
    return EngineSource(TENSORRT_RTX, trt, tmp_path / "engines")


def events(logs) -> list[str]:
    """What an operator reads; at `debug` the log has every word of TensorRT's."""
    return [line["event"] for line in logs if line["log_level"] != "debug"]


def layers(parsed) -> Counter[tuple[str, str]]:
    """How many layers there are of each kind and type of result."""
    network = parsed.network
    every = [network.get_layer(index) for index in range(network.num_layers)]
    return Counter((layer.type.name, layer.get_output(0).dtype.name) for layer in every)


class TestEngines:
    @pytest.mark.parametrize("precision", ["f16", "f32"])
    @pytest.mark.parametrize("capability", ["SM80", "SM86", "SM89", "SM120"])
    def test_the_default_model_is_built_ahead_of_time(
        self, source, default, capability, precision, capsys
    ):
        started = time.perf_counter()
        key = source.key(default, capability, precision)
        with capture_logs() as logs:
            engine = source.get(default, key)
        seconds = time.perf_counter() - started
        with capsys.disabled():
            print(f"\n{capability} {precision}: {seconds:.2f} s, {len(engine):,} bytes")
        assert events(logs) == ["engine_built"]
        # 4 million weights.
        assert (8e6 < len(engine) < 14e6) if precision == "f16" else (16e6 < len(engine) < 24e6)
        assert source.cache.find(key) == engine
        assert source.cache.find(source.key(default, "SM75", precision)) is None

    def test_in_half_every_layer_that_weighs_is_half(self, trt, source, default):
        parsed = parse(trt, source.messages, source.logger, halved(default.onnx))
        found = layers(parsed)
        assert found["CONVOLUTION", "HALF"] == 49
        assert found["MATRIX_MULTIPLY", "HALF"] == 33
        assert not found["CONVOLUTION", "FLOAT"] + found["MATRIX_MULTIPLY", "FLOAT"]
        assert found["ACTIVATION", "FLOAT"] == 2, "the last sigmoids"
        ends = parsed.network.get_input(0), parsed.network.get_output(0)
        assert [tensor.dtype.name for tensor in ends] == ["UINT8", "FLOAT"]

    def test_in_single_none_is_half_but_the_stored_weights(self, trt, source, default):
        found = layers(parse(trt, source.messages, source.logger, default.onnx))
        assert {kind for kind, dtype in found if dtype == "HALF"} == {"CONSTANT"}
        assert found["CONVOLUTION", "FLOAT"] == 49

    def test_the_profile_is_the_batchers(self, trt, source, default):
        parsed = parse(trt, source.messages, source.logger, default.onnx)
        sizes = batches(parsed, 192, Profile())
        assert [tuple(shape) for shape in sizes.get_shape("crops")] == [
            (1, 192, 192, 3),
            (8, 192, 192, 3),
            (64, 192, 192, 3),
        ]

    def test_other_crops_than_the_networks_are_refused(self, trt, source, default):
        with pytest.raises((ModelInvalid, RuntimeUnusable)):
            build(
                trt, source.messages, source.logger, default.onnx,
                size=96, profile=Profile(), capability="SM89",
            )  # fmt: skip

    def test_a_damaged_engine_is_built_again(self, source, package):
        key = source.key(package, "SM89", "f16")
        source.get(package, key)
        file = source.cache.folder / key.file_name
        file.write_bytes(file.read_bytes()[:-1])
        with capture_logs() as logs:
            source.get(package, key)
        assert events(logs) == ["engine_discarded", "engine_built"]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"not a network", "TensorRT cannot read the network: .+"),
            # Its parser takes this for a network of nothing.
            (b"", "not one input and one output"),
        ],
    )
    def test_what_is_no_network_is_refused(self, trt, content, says):
        messages = Messages()
        with pytest.raises(ModelInvalid, match=says):
            parse(trt, messages, messages.logger(trt), content)


@pytest.mark.usefixtures("trt")
class TestCommand:
    """`fimq engines`, for who makes an image."""

    @pytest.fixture
    def fimq(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("FIMQ_ENGINES_DIR", str(tmp_path / "engines"))

        def run(*words: str) -> tuple[int, list[str], str]:
            with pytest.raises(SystemExit) as ended:
                main(list(words))
            said = capsys.readouterr()
            return ended.value.code, said.out.splitlines(), said.err

        return run

    def test_what_it_builds_is_what_a_worker_finds(self, fimq, source, default):
        status, lines, _ = fimq("engines", "build", "--for", "sm89, SM120")
        assert status == 0
        assert [line.split()[:2] for line in lines] == [["SM89", "f16"], ["SM120", "f16"]]
        key = source.key(default, "SM89", "f16")
        # `source` keeps its engines where the command was told to.
        assert source.cache.find(key)

        _, lines, _ = fimq("engines", "list", "--json")
        listed = {json.loads(line)["gpu"] for line in lines}
        assert listed == {"SM89", "SM120"}
        assert fimq("engines", "clear")[1] == ["2 removed"]
        assert fimq("engines", "list")[1] == []

    def test_a_card_that_it_cannot_build_for_is_refused_with_those_it_can(self, fimq):
        status, _, says = fimq("engines", "build", "--for", "SM89,SM90")
        assert status == 2
        assert "does not know SM90; SM75" in says


@pytest.mark.usefixtures("trt", "without_gpu")
class TestWithoutGpu:
    def test_cuda_takes_what_it_is_given_and_its_errors_are_raised(self):
        cuda = Cuda.load()
        with pytest.raises(RuntimeUnusable, match="no NVIDIA driver"):
            cuda.gpu()
        for make in (lambda: Buffer(cuda, (64, 2), np.float32), lambda: Stream(cuda)):
            with pytest.raises(GpuLost, match="CUDA driver version is insufficient"):
                make()
        real = cuda.runtime
        copy = real.cudaMemcpyKind.cudaMemcpyHostToDevice
        stream = real.cudaStream_t(0)
        assert int(stream) == 0
        with pytest.raises(GpuLost):
            cuda.call("cudaMemcpyAsync", 1, 2, 3, copy, stream)
        with pytest.raises(GpuLost):
            cuda.call("cudaStreamSynchronize", stream)
        # Those that give memory back are called without a look at their answers.
        for answer in (real.cudaFree(0), real.cudaFreeHost(0), real.cudaStreamDestroy(stream)):
            assert len(answer) == 1

    def test_an_engine_for_this_machine_is_refused_with_the_cause(self, trt, source, package):
        with pytest.raises(RuntimeUnusable, match="CUDA driver version is insufficient"):
            build(
                trt, source.messages, source.logger, package.onnx,
                size=16, profile=Profile(), capability="CURRENT",
            )  # fmt: skip

    def test_an_engine_that_does_not_load_is_built_twice_and_refused(self, source, package):
        with capture_logs() as logs, pytest.raises(RuntimeUnusable, match="driver"):
            TensorRtRuntime(source, Cuda(papergpu.PaperCuda()), package, "f32")
        assert events(logs) == ["engine_built", "engine_discarded"] * 2

    def test_the_next_runtime_judges_and_one_line_tells_why(self, package, tmp_path, capfd):
        with capture_logs() as logs:
            choice = choose(package, tmp_path / "engines")
        assert choice.runtime.name == "openvino"
        assert [refusal.name for refusal in choice.refusals] == ["tensorrt-rtx"]
        assert "driver" in choice.refusals[0].reason
        assert events(logs) == ["runtime_refused"]
        assert capfd.readouterr() == ("", "")
        assert not (tmp_path / "engines").exists()


class TestPaper:
    """What the tests with a GPU on paper call is there in the real packages."""

    @pytest.mark.parametrize("module", ["tensorrt_rtx", "tensorrt"])
    def test_it_has_tensorrts_names(self, module):
        if module == "tensorrt":
            # Its libraries are not on the public index.
            real = pytest.importorskip(module, exc_type=ImportError)
        else:
            real = needed(module)
        for paper, name in NAMES.items():
            offered = {word for word in vars(paper) if not word.startswith("_")}
            if module == "tensorrt":
                # Its engines are for the card that they are built on.
                offered -= {"set_compute_capability"}
            assert offered <= set(dir(getattr(real, name))), name
        flags = papergpu.PaperTensorRt
        assert set(flags.BuilderFlag.__members__) <= set(real.BuilderFlag.__members__)
        assert set(flags.NetworkDefinitionCreationFlag.__members__) <= set(
            real.NetworkDefinitionCreationFlag.__members__
        )
        for name in ("DataType", "TensorIOMode"):
            members = getattr(real, name).__members__
            assert set(getattr(papergpu, name).__members__) <= set(members)
        if module == "tensorrt_rtx":
            assert set(papergpu.ComputeCapability.__members__) <= set(
                real.ComputeCapability.__members__
            )

    def test_it_has_cudas_names(self):
        real = needed("cuda.bindings.runtime")
        for name, _ in inspect.getmembers(papergpu.PaperCuda, inspect.isfunction):
            assert name.startswith("_") or callable(getattr(real, name))
        for name in ("CudaError", "Copy"):
            paper = getattr(papergpu, name)
            there = real.cudaError_t if name == "CudaError" else real.cudaMemcpyKind
            for member in paper:
                assert getattr(there, member.name).value == member.value
        assert real.cudaStreamNonBlocking == papergpu.PaperCuda.cudaStreamNonBlocking
