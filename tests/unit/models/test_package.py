import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fimq.errors import ModelInvalid, ModelMissing
from fimq.models.manifest import Manifest
from fimq.models.package import ModelPackage

NETWORK = b"the network"
FACTS: dict[str, Any] = {
    "name": "fimq-b0",
    "version": "0.1.0",
    "sha256": hashlib.sha256(NETWORK).hexdigest(),
    "input": {"size": 16},
    "crop": {"scale": 1.3, "size": 16},
    "classes": [
        {"name": "real", "manipulated": False},
        {"name": "face2face", "manipulated": True},
        {"name": "faceswap", "manipulated": True},
    ],
    "calibration": {"temperature": 2.0, "bias": -1.0},
    "thresholds": {"high_precision": 0.9, "high_recall": 0.3},
    "sampling": "every:25",
    "training_data": [{"name": "Portraits", "source": "a repository", "licence": "CC BY 4.0"}],
    "metrics": {"auc": 0.9},
    "created": "2026-11-20T10:00:00+00:00",
    "experimental": True,
}


def write(folder: Path, facts: dict[str, Any], crops=None, scores=None) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(NETWORK)
    (folder / "manifest.json").write_text(json.dumps(facts))
    np.savez(
        folder / "golden.npz",
        crops=np.zeros((2, 16, 16, 3), np.uint8) if crops is None else crops,
        scores=np.zeros((2, 3), np.float32) if scores is None else scores,
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "model", FACTS)


class TestManifest:
    def test_a_name_with_its_version_is_the_label(self):
        assert Manifest.model_validate(FACTS).label == "fimq-b0@0.1.0"

    def test_what_a_later_version_adds_is_read_over(self):
        assert Manifest.model_validate({**FACTS, "flops": 1}).name == "fimq-b0"

    @pytest.mark.parametrize(
        ("part", "value"),
        [
            ("name", "../evil"),
            ("name", ""),
            ("version", "a/b"),
            ("sha256", "abc"),
            ("classes", FACTS["classes"][:1]),
            ("classes", FACTS["classes"][1:]),
            ("classes", [*FACTS["classes"], FACTS["classes"][0]]),
            ("crop", {"scale": 1.3, "size": 32}),
            ("calibration", {"temperature": 0, "bias": 0}),
            ("thresholds", {"high_precision": 0.2, "high_recall": 0.3}),
            ("thresholds", {"high_precision": float("nan"), "high_recall": 0.3}),
        ],
    )
    def test_what_does_not_hold_together_is_refused(self, tmp_path, part, value):
        with pytest.raises(ModelInvalid, match="manifest is wrong"):
            ModelPackage.open(write(tmp_path / "model", {**FACTS, part: value}))

    def test_manipulated_classes_are_summed_and_calibrated(self):
        manifest = Manifest.model_validate(FACTS)
        assert manifest.manipulated_score([0.5, 0.2, 0.3]) == pytest.approx(1 / (1 + np.e))

    def test_without_calibration_the_sum_is_the_score(self):
        manifest = Manifest.model_validate({**FACTS, "calibration": None})
        assert manifest.manipulated_score([0.4, 0.25, 0.35]) == pytest.approx(0.6)

    @given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
    def test_a_score_is_always_a_part_of_one(self, scores):
        assert 0 <= Manifest.model_validate(FACTS).manipulated_score(scores) <= 1

    def test_the_likeliest_method_is_a_manipulated_one(self):
        assert Manifest.model_validate(FACTS).likeliest_method([0.9, 0.04, 0.06]) == "faceswap"


class TestModelPackage:
    def test_a_sound_package_opens(self, folder):
        package = ModelPackage.open(folder)
        assert package.onnx == NETWORK
        assert package.golden.crops.shape == (2, 16, 16, 3)

    @pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "golden.npz"])
    def test_a_missing_file_is_a_missing_model(self, folder, file):
        (folder / file).unlink()
        with pytest.raises(ModelMissing):
            ModelPackage.open(folder)

    @pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "golden.npz"])
    def test_a_cut_file_is_an_invalid_model(self, folder, file):
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[: len(content) // 2])
        with pytest.raises(ModelInvalid):
            ModelPackage.open(folder)

    @pytest.mark.parametrize(
        ("crops", "scores"),
        [
            (np.zeros((2, 8, 8, 3), np.uint8), None),
            (np.zeros((2, 16, 16, 3), np.float32), None),
            (np.zeros((0, 16, 16, 3), np.uint8), np.zeros((0, 3), np.float32)),
            (None, np.zeros((2, 2), np.float32)),
            (None, np.full((2, 3), np.nan, np.float32)),
        ],
    )
    def test_golden_crops_of_another_shape_are_refused(self, tmp_path, crops, scores):
        with pytest.raises(ModelInvalid, match="golden"):
            ModelPackage.open(write(tmp_path / "model", FACTS, crops, scores))

    def test_a_pickle_is_never_read(self, tmp_path):
        crops = np.array([{"harm": 1}], dtype=object)
        with pytest.raises(ModelInvalid, match="cannot be read"):
            ModelPackage.open(write(tmp_path / "model", FACTS, crops))
