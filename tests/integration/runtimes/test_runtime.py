import numpy as np
import pytest
from structlog.testing import capture_logs

from fimq.errors import ModelInvalid, RuntimeMissing
from fimq_worker.runtimes import parity
from fimq_worker.runtimes.choose import RUNTIMES, choose


@pytest.fixture(params=sorted(RUNTIMES))
def load(request):
    pytest.importorskip(request.param)
    return RUNTIMES[request.param]


class TestRuntime:
    """What every Runtime promises. A new one joins through the table of `choose`."""

    def test_golden_crops_get_their_scores(self, load, package):
        assert parity.measure(load(package), package).difference < 1e-5

    def test_a_crop_scores_the_same_in_any_batch(self, load, package):
        runtime, crops = load(package), package.golden.crops
        one_by_one = np.concatenate([runtime.score(crops[i : i + 1]) for i in range(len(crops))])
        assert np.allclose(runtime.score(crops), one_by_one, atol=1e-6)

    def test_no_crops_get_no_scores(self, load, package):
        none = load(package).score(package.golden.crops[:0])
        assert none.shape == (0, len(package.manifest.classes))

    def test_crops_need_not_be_contiguous(self, load, package):
        crops = package.golden.crops[:, ::-1, ::-1]
        assert np.allclose(load(package).score(crops), package.golden.scores, atol=1e-5)

    def test_scores_do_not_change_with_the_next_call(self, load, package):
        runtime = load(package)
        first = runtime.score(package.golden.crops[:2])
        before = first.copy()
        runtime.score(package.golden.crops[2:4])
        assert np.array_equal(first, before)

    def test_it_says_what_it_is(self, load, package):
        runtime = load(package)
        assert RUNTIMES[runtime.name] is load
        assert runtime.version[0].isdigit()
        assert runtime.precision == "f32"

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


class TestChoose:
    def test_auto_takes_the_first_that_passes(self, package):
        choice = choose(package)
        assert choice.runtime.name == "openvino"
        assert choice.parity.passes
        assert choice.refusals == ()

    def test_a_named_runtime_is_the_one(self, package):
        assert choose(package, "onnxruntime").runtime.name == "onnxruntime"

    def test_one_that_is_not_installed_is_refused_with_its_reason(self, package):
        def absent(_package):
            raise ModuleNotFoundError("tensorrt")

        with capture_logs() as logs:
            choice = choose(package, runtimes={"tensorrt": absent, **RUNTIMES})
        assert choice.runtime.name == "openvino"
        assert [refusal.name for refusal in choice.refusals] == ["tensorrt"]
        assert [(line["event"], line["reason"]) for line in logs] == [
            ("runtime_refused", "not installed")
        ]

    def test_one_that_scores_otherwise_is_refused(self, build):
        wrong = build(golden_change=0.003)

        def other(_package):
            return RUNTIMES["openvino"](wrong)

        with pytest.raises(RuntimeMissing, match="parity gate"):
            choose(wrong, runtimes={"openvino": other})

    def test_a_difference_within_the_gate_is_accepted(self, build):
        assert choose(build(golden_change=0.001)).runtime.name == "openvino"

    def test_a_named_one_never_falls_back(self, build):
        with pytest.raises(RuntimeMissing, match="openvino: fails"):
            choose(build(golden_change=0.003), "openvino")

    def test_an_unknown_name_lists_what_there_is(self, package):
        with pytest.raises(RuntimeMissing, match="openvino, onnxruntime"):
            choose(package, "abacus")

    def test_a_flipped_class_is_refused(self):
        assert not parity.Parity(difference=1e-6, flips=1).passes
