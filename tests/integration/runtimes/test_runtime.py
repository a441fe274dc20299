from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from fimq.errors import (
    GpuLost,
    ModelInvalid,
    RuntimeMissing,
    RuntimeNotInstalled,
    RuntimeUnusable,
)
from fimq_worker.runtimes import parity
from fimq_worker.runtimes.base import NoSuchPrecision
from fimq_worker.runtimes.choose import RUNTIMES, choose

ORDER = ["tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "openvino", "onnxruntime"]
CPU = {name: RUNTIMES[name] for name in ("openvino", "onnxruntime")}
#: These may be absent, or have no GPU to run on.
GPU = {"tensorrt", "tensorrt-rtx", "onnxruntime-cuda"}


@pytest.fixture
def engines(tmp_path) -> Path:
    return tmp_path / "engines"


@pytest.fixture(params=[(name, way) for name in RUNTIMES for way in range(len(RUNTIMES[name]))])
def load(request, engines):
    """Loads a package into one runtime, in one of its ways."""
    name, way = request.param

    def load(package):
        try:
            return RUNTIMES[name][way](package, engines)
        except (RuntimeNotInstalled, RuntimeUnusable) as error:
            if name in GPU:
                pytest.skip(f"{name}: {error.message}")
            raise

    return load


def tolerance(runtime) -> float:
    """What a runtime's rounding may come to."""
    return 1e-5 if runtime.precision == "f32" else parity.MOST_DIFFERENCE


class TestRuntime:
    """What every Runtime promises. A new one joins through the table of `choose`."""

    def test_golden_crops_get_their_scores(self, load, package):
        runtime = load(package)
        measured = parity.measure(runtime, package)
        assert measured.difference < tolerance(runtime)
        assert measured.flips == 0

    def test_a_crop_scores_the_same_in_any_batch(self, load, package):
        runtime, crops = load(package), package.golden.crops
        one_by_one = np.concatenate([runtime.score(crops[i : i + 1]) for i in range(len(crops))])
        assert np.allclose(runtime.score(crops), one_by_one, atol=tolerance(runtime))

    def test_no_crops_get_no_scores(self, load, package):
        none = load(package).score(package.golden.crops[:0])
        assert none.shape == (0, len(package.manifest.classes))

    def test_crops_need_not_be_contiguous(self, load, package):
        runtime, crops = load(package), package.golden.crops[:, ::-1, ::-1]
        assert np.allclose(
            runtime.score(crops), package.golden.scores, atol=tolerance(runtime), rtol=0
        )

    def test_scores_do_not_change_with_the_next_call(self, load, package):
        runtime = load(package)
        first = runtime.score(package.golden.crops[:2])
        before = first.copy()
        runtime.score(package.golden.crops[2:4])
        assert np.array_equal(first, before)

    def test_it_says_what_it_is(self, load, package):
        runtime = load(package)
        assert runtime.name in RUNTIMES
        assert runtime.version[0].isdigit()
        assert runtime.precision in {"f32", "f16"}

    def test_more_crops_than_a_batch_are_scored_in_order(self, load, package):
        runtime, golden = load(package), package.golden
        crops = np.tile(golden.crops, (17, 1, 1, 1))
        scores = np.tile(golden.scores, (17, 1))
        assert len(crops) == 136
        assert np.allclose(runtime.score(crops), scores, atol=tolerance(runtime), rtol=0)

    def test_crops_of_another_size_are_refused(self, load, package):
        with pytest.raises(ModelInvalid):
            load(package).score(np.zeros((1, 5, 5, 3), np.uint8))

    def test_a_file_that_is_no_network_is_refused(self, load, build):
        with pytest.raises(ModelInvalid):
            load(build(content=b"not a network"))

    def test_another_number_of_classes_is_refused(self, load, build, network):
        package = build(content=network(classes=3))
        with pytest.raises(ModelInvalid, match="classes"):
            load(package).score(package.golden.crops)

    def test_nan_is_refused(self, load, build, network):
        package = build(content=network(classes=2, last="Log"))
        with pytest.raises(ModelInvalid, match="no scores"):
            load(package).score(np.full((1, 16, 16, 3), 255, np.uint8))


def refusing(error):
    def load(_package, _engines):
        raise error

    return (load,)


def loading(package):
    """A way that computes another model than the one that it is asked for."""

    return lambda _package, engines: RUNTIMES["openvino"][0](package, engines)


class TestChoose:
    def test_auto_takes_the_first_that_passes(self, package, engines):
        choice = choose(package, engines, runtimes=CPU)
        assert choice.runtime.name == "openvino"
        assert choice.parity.passes
        assert choice.refusals == ()

    def test_the_fastest_comes_first(self):
        assert list(RUNTIMES) == ORDER

    def test_a_named_runtime_is_the_one(self, package, engines):
        assert choose(package, engines, "onnxruntime").runtime.name == "onnxruntime"

    def test_one_that_is_not_installed_is_no_news(self, package, engines):
        absent = refusing(RuntimeNotInstalled())
        with capture_logs() as logs:
            choice = choose(package, engines, runtimes={"tensorrt": absent, **CPU})
        assert choice.runtime.name == "openvino"
        assert choice.refusals == ()
        assert logs == []

    @pytest.mark.parametrize(
        "error",
        [
            RuntimeUnusable("no NVIDIA driver is loaded"),
            GpuLost("no NVIDIA driver is loaded"),
            ImportError("no NVIDIA driver is loaded"),
        ],
    )
    def test_one_that_is_installed_and_cannot_be_used_is_told_once(self, package, engines, error):
        with capture_logs() as logs:
            choice = choose(package, engines, runtimes={"tensorrt": refusing(error), **CPU})
        assert choice.runtime.name == "openvino"
        (refusal,) = choice.refusals
        assert refusal.name == "tensorrt"
        assert refusal.reason.endswith("no NVIDIA driver is loaded")
        assert [(line["event"], line["log_level"], line["reason"]) for line in logs] == [
            ("runtime_refused", "warning", refusal.reason)
        ]

    def test_a_bad_model_is_at_fault_though_a_runtime_cannot_be_used(self, build, engines):
        bad = build(content=b"not a network")
        unusable = refusing(RuntimeUnusable("no NVIDIA driver is loaded"))
        with pytest.raises(ModelInvalid, match="no NVIDIA driver"):
            choose(bad, engines, runtimes={"tensorrt": unusable, **CPU})

    def test_where_nothing_can_be_used_the_model_is_not_at_fault(self, package, engines):
        unusable = refusing(RuntimeUnusable("no NVIDIA driver is loaded"))
        with pytest.raises(RuntimeMissing):
            choose(package, engines, runtimes={"tensorrt": unusable})

    def test_a_named_one_that_is_not_installed_says_so(self, package, engines):
        with pytest.raises(RuntimeNotInstalled, match="tensorrt is not installed"):
            choose(package, engines, "tensorrt", {"tensorrt": refusing(RuntimeNotInstalled())})

    def test_one_that_scores_otherwise_is_refused(self, build, engines):
        wrong = build(golden_change=0.003)
        with pytest.raises(RuntimeMissing, match="f32 fails the parity gate"):
            choose(wrong, engines, runtimes={"openvino": RUNTIMES["openvino"]})

    def test_the_next_way_of_a_runtime_is_tried_and_the_first_is_told_once(
        self, build, engines, network
    ):
        package = build()
        other = build(content=network(classes=2, matrix=np.eye(3, 2, dtype=np.float32)))
        ways = (loading(other), loading(package))
        with capture_logs() as logs:
            choice = choose(package, engines, runtimes={"tensorrt": ways, **CPU})
        assert choice.parity.passes
        (refusal,) = choice.refusals
        assert (refusal.name, len(logs)) == ("tensorrt", 1)

    def test_a_precision_that_cannot_be_is_followed_by_the_next(self, package, engines):
        ways = (*refusing(NoSuchPrecision("f16 is not possible")), RUNTIMES["openvino"][0])
        choice = choose(package, engines, runtimes={"tensorrt": ways})
        assert [refusal.reason for refusal in choice.refusals] == ["f16 is not possible"]

    def test_of_two_ways_that_fail_one_line_tells_both(self, build, engines):
        wrong = build(golden_change=0.003)
        ways = (*RUNTIMES["openvino"], *RUNTIMES["openvino"])
        with capture_logs() as logs, pytest.raises(RuntimeMissing) as raised:
            choose(wrong, engines, runtimes={"tensorrt": ways})
        assert raised.value.facts["reasons"]["tensorrt"].count("parity gate") == 2
        assert len(logs) == 1

    def test_a_difference_within_the_gate_is_accepted(self, build, engines):
        assert choose(build(golden_change=0.001), engines, runtimes=CPU).refusals == ()

    def test_a_named_one_never_falls_back(self, build, engines):
        with pytest.raises(RuntimeMissing, match="openvino: f32 fails"):
            choose(build(golden_change=0.003), engines, "openvino")

    def test_an_unknown_name_lists_what_there_is(self, package, engines):
        with pytest.raises(RuntimeMissing, match="onnxruntime-cuda, openvino, onnxruntime"):
            choose(package, engines, "abacus")

    def test_a_flipped_class_is_refused(self):
        assert not parity.Parity(difference=1e-6, flips=1).passes
