"""The model that fimq ships keeps what its manifest says."""

import hashlib
import json
from importlib import resources

import numpy as np
import pytest

DEFAULT = resources.files("fimq.models") / "default"


@pytest.fixture(scope="module")
def manifest():
    return json.loads((DEFAULT / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def golden():
    with (DEFAULT / "golden.npz").open("rb") as stored, np.load(stored) as arrays:
        return arrays["crops"], arrays["scores"]


def test_the_file_is_the_one_that_the_manifest_names(manifest):
    assert hashlib.sha256((DEFAULT / "model.onnx").read_bytes()).hexdigest() == manifest["sha256"]


def test_golden_crops_score_in_onnx_runtime_as_in_the_exporting_framework(golden):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `onnxruntime` is missing")
    crops, scores = golden
    session = onnxruntime.InferenceSession(
        (DEFAULT / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    (result,) = session.run(["probabilities"], {session.get_inputs()[0].name: crops})
    assert np.abs(result - scores).max() <= 2e-3
    assert np.array_equal(result.argmax(1), scores.argmax(1))


def test_golden_crops_are_many_and_differ_in_score(golden):
    crops, scores = golden
    assert len(crops) >= 8
    assert crops.shape[1:] == (192, 192, 3)
    assert np.ptp(scores[:, 1]) > 0.05


def test_the_thresholds_are_in_order(manifest):
    thresholds = manifest["thresholds"]
    assert 0 < thresholds["high_recall"] < thresholds["high_precision"] < 1


def test_it_says_that_it_is_experimental_and_what_it_was_trained_on(manifest):
    assert manifest["experimental"] is True
    assert all(source["licence"] for source in manifest["training_data"])


def test_the_card_says_what_the_manifest_says(manifest):
    from fimq_training.export.card import card

    assert (DEFAULT / "card.md").read_text(encoding="utf-8") == card(manifest)


def test_nothing_in_the_package_names_a_machine():
    for name in ("model.onnx", "manifest.json", "card.md"):
        content = (DEFAULT / name).read_bytes()
        assert not any(trace in content for trace in (b"/home/", b"/tmp/", b"site-packages"))
