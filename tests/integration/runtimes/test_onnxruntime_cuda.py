"""ONNX Runtime for CUDA where there is no GPU: it must say so, not compute on the CPU.

Runs where onnxruntime-gpu is installed in place of onnxruntime; `.ci/run` sees to it once.
"""

from __future__ import annotations

import os

import onnxruntime
import pytest
from structlog.testing import capture_logs

from fimq.errors import GpuFailed, GpuLost, ModelInvalid, RuntimeNotInstalled, RuntimeUnusable
from fimq_worker.runtimes.choose import RUNTIMES, choose
from fimq_worker.runtimes.onnxruntime_cuda import failure, not_loaded

BUILT_FOR_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
for_cuda = pytest.mark.skipif(not BUILT_FOR_CUDA, reason="onnxruntime-gpu is not installed")


def test_the_build_for_cuda_is_here_when_it_must_be() -> None:
    assert BUILT_FOR_CUDA or not os.environ.get("TEST_ONNXRUNTIME_GPU")


@pytest.mark.skipif(BUILT_FOR_CUDA, reason="onnxruntime-gpu is installed")
def test_the_build_for_cpus_counts_as_not_installed(package, tmp_path) -> None:
    with pytest.raises(RuntimeNotInstalled):
        RUNTIMES["onnxruntime-cuda"][0](package, tmp_path)


@for_cuda
def test_its_fall_to_the_cpu_is_an_error_with_its_cause(package, tmp_path) -> None:
    with pytest.raises(RuntimeUnusable, match=r"fell back to the CPU: .+"):
        RUNTIMES["onnxruntime-cuda"][0](package, tmp_path)


@for_cuda
def test_the_next_runtime_judges_and_one_line_tells_why(package, tmp_path, capfd) -> None:
    runtimes = {name: RUNTIMES[name] for name in ("onnxruntime-cuda", "openvino")}
    with capture_logs() as logs:
        choice = choose(package, tmp_path, runtimes=runtimes)
    assert choice.runtime.name == "openvino"
    assert [refusal.name for refusal in choice.refusals] == ["onnxruntime-cuda"]
    assert [line["event"] for line in logs] == ["runtime_refused"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        ("CUDNN_STATUS_NOT_INITIALIZED ; GPU=0", RuntimeUnusable),
        ("Failed to allocate memory for requested buffer of size 99", RuntimeUnusable),
        ("Load model failed:Protobuf parsing failed.", ModelInvalid),
    ],
)
def test_a_session_that_does_not_open_is_the_cards_fault_or_the_models(says, kind) -> None:
    error = ModelInvalid("ONNX Runtime cannot load it")
    error.__cause__ = ValueError(says)
    assert type(not_loaded(error)) is kind


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        ("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer", GpuFailed),
        ("CUDA failure 2: out of memory ; GPU=0\nmore", GpuFailed),
        ("CUDA failure 700: an illegal memory access was encountered", GpuLost),
    ],
)
def test_what_is_not_about_memory_loses_the_gpu(says, kind) -> None:
    error = failure(says)
    assert type(error) is kind
    assert "\n" not in error.message
    assert not error.final
