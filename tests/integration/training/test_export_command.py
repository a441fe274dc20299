"""`fimq train calibrate` and `export`: from a fit to a package that a worker takes."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from extras import need

need("tensorflow", extra="training")
need("tf2onnx", extra="training")
need("onnxruntime", extra="training")
pytest.importorskip("skimage", reason="the extra `demo` is not installed")

import onnx

from crop_folder import SIZE
from fimq.errors import (
    CalibrationImpossible,
    CalibrationMissing,
    ExportDiffers,
    RunDiffers,
    UsageError,
)
from fimq.models.package import ModelPackage
from fimq_training.calibration.operating_points import OperatingPoints, find
from fimq_training.commands.train import train
from fimq_training.crops.pictures import pictures
from fimq_training.evaluation import models
from fimq_training.evaluation.predictions import Predictions
from fimq_training.export import assembly, gate
from fimq_training.export.onnx import KerasNetwork
from fimq_training.fitting.run import SPLIT, Run, put
from fimq_training.networks.paper import NETWORKS
from fimq_training.recipes.recipe import HOUSE
from fimq_training.splits.split import Side, Split
from fimq_worker.runtimes.choose import choose

SOURCE = ("--source", "Made faces | tests of fimq | CC0")


def call(*arguments):
    result = CliRunner().invoke(train, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    """A fit, calibrated and measured."""
    folder, crops = tmp_path_factory.mktemp("runs"), table.folders["made"]
    sides = {key: list(Side)[number // 2 % 3] for number, key in enumerate(table.keys)}
    Split("three", sides).write(crops / "splits" / "three.parquet")
    text = (HOUSE / "paper-baseline-binary.toml").read_text()
    (folder / "small.toml").write_text(text.replace("size = 128", f"size = {SIZE}"))
    common = ("--init", "none", "--split", "three", "--out", folder / "run", "--epochs", 8)
    (crops / "dataset.json").write_text(json.dumps({"options": {"every": 10, "frames": None}}))
    call("fit", folder / "small.toml", crops, *common)
    call("calibrate", folder / "run", crops, "--fpr", "0.05")
    call("evaluate", folder / "run", crops)
    return folder / "run"


@pytest.fixture(scope="module")
def package(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("packages") / "ours"
    call("export", run, out, "--name", "ours", "--version", "1.0.0", *SOURCE)
    return out


class TestCalibrate:
    def test_it_keeps_points_that_hold_together(self, run):
        points = OperatingPoints.read(run)
        assert 0 < points.high_recall <= points.high_precision < 1
        assert points.calibration.temperature > 0
        assert set(points.simulated) == {"10 s", "1 min", "10 min", "60 min"}
        assert points.promise > 0.05

    def test_it_says_what_so_few_people_allow_to_promise(self, run, table):
        result = call("calibrate", run, table.folders["made"], "--fpr", "0.01")
        assert "people allow to promise no less than" in result.stderr
        assert "simulated video of 60 min" in result.stdout

    def test_an_evaluation_after_it_is_of_calibrated_scores_pooled_as_it_says(
        self, run, table, tmp_path
    ):
        points = OperatingPoints.read(run)
        call("evaluate", run, table.folders["made"], "--out", tmp_path)
        kept = Predictions.read(tmp_path / "predictions.parquet", table)
        raw = Predictions.make(table.rows(c.key for c in kept.crops), models.load(run, raw=True))
        wanted = [points.calibration.apply(score) for score in raw.manipulated_scores]
        assert np.allclose(kept.manipulated_scores, wanted, atol=1e-6)
        assert not np.allclose(kept.manipulated_scores, raw.manipulated_scores, atol=1e-2)
        assert kept.pooling.window_penalty == points.window_penalty
        report = json.loads((tmp_path / "report.json").read_text())
        assert (report["scores"], report["window_penalty"]) == ("calibrated", points.window_penalty)
        assert "Scores are calibrated." in (tmp_path / "report.md").read_text()

    def test_it_finds_the_same_when_there_is_one_already(self, run, table):
        before = OperatingPoints.read(run)
        call("calibrate", run, table.folders["made"], "--fpr", before.wanted)
        assert OperatingPoints.read(run) == before

    def test_a_package_is_measured_with_the_pooling_of_its_manifest(self, package, run):
        wanted = OperatingPoints.read(run).window_penalty
        assert models.load(package).pooling.window_penalty == wanted

    def test_too_few_real_videos_say_nothing(self, table):
        rows = [crop for crop in table.crops if crop.manipulated or crop.video < "010"]
        scores = np.full((len(rows), 2), 0.5)
        few = Predictions(rows, ("fake", "real"), (True, False), scores)
        with pytest.raises(CalibrationImpossible, match="5 real"):
            find(few, wanted=0.01, missed=0.1, sampling="every:25")

    def test_a_model_that_says_the_opposite_is_not_calibrated(self, table):
        scores = np.where([crop.manipulated for crop in table.crops], 0.2, 0.8)
        scores += np.random.default_rng(0).normal(0, 0.1, len(scores))
        wrong = np.stack([scores, 1 - scores], 1).clip(0.01, 0.99)
        liar = Predictions(table.crops, ("fake", "real"), (True, False), wrong)
        with pytest.raises(CalibrationImpossible, match="no higher than real ones"):
            find(liar, wanted=0.1, missed=0.1, sampling="every:25")


def test_figures_of_another_split_do_not_get_into_the_card(run, table, tmp_path):
    kept = (run / "evaluation" / "report.json").read_text()
    other = dict.fromkeys(Split.read(run / SPLIT).keys(Side.TEST), Side.TEST)
    other |= dict.fromkeys(Split.read(run / SPLIT).keys(Side.VALIDATION), Side.VALIDATION)
    Split("other", other).write(tmp_path / "other.parquet")
    folder = table.folders["made"]
    call("evaluate", run, folder, "--split", tmp_path / "other.parquet")
    with pytest.raises(RunDiffers, match="is of the split other"):
        call("export", run, tmp_path / "p", "--name", "ours", "--version", "1.0.0", *SOURCE)
    (run / "evaluation" / "report.json").write_text(kept)


class TestExport:
    def test_the_package_says_what_the_run_found(self, package, run):
        made = ModelPackage.open(package)
        points = OperatingPoints.read(run)
        manifest = made.manifest
        assert manifest.label == "ours@1.0.0"
        assert [(c.name, c.manipulated) for c in manifest.classes] == [
            ("fake", True),
            ("real", False),
        ]
        assert manifest.thresholds.high_precision == points.high_precision
        assert manifest.pooling.window_penalty == points.window_penalty
        assert manifest.sampling == points.sampling == "every:10"
        assert manifest.training_data[0].licence == "CC0"
        evaluation = json.loads((run / "evaluation" / "report.json").read_text())
        assert manifest.metrics["evaluation"]["crops"]["auc"] == evaluation["measures"][0]["auc"]
        assert manifest.metrics["evaluation"]["scores"] == "calibrated"
        card = (package / "card.md").read_text()
        assert f"{evaluation['measures'][0]['auc']['value']:.3f}" in card

    def test_it_scores_as_the_fit_does(self, package, run, table, tmp_path):
        made = ModelPackage.open(package)
        scores = {
            name: choose(made, tmp_path, name).runtime.score(_crops(table))
            for name in ("openvino", "onnxruntime")
        }
        wanted = models.load(run, raw=True).scorer(_crops(table))
        for name, found in scores.items():
            assert np.abs(found - wanted).max() < 5e-3, name

    def test_no_machine_is_in_the_file(self, package):
        content = (package / "model.onnx").read_bytes()
        for trace in (b"/tmp", b"/home", b"/root", b"site-packages"):
            assert trace not in content

    def test_in_f32_the_file_is_larger_and_nearer(self, run, package, tmp_path):
        call(
            *("export", run, tmp_path / "whole", "--name", "ours", "--version", "1.0.1"),
            *("--precision", "f32", *SOURCE),
        )
        whole, half = ((f / "model.onnx").stat().st_size for f in (tmp_path / "whole", package))
        assert whole > 1.7 * half

    def test_a_corrupted_layer_is_refused_and_nothing_is_written(self, run, tmp_path, monkeypatch):
        whole = assembly.to_onnx

        def corrupted(network, out, precision):
            """The export of a tool that loses a layer's weights."""
            whole(network, out, precision)
            model = onnx.load(str(out))
            layer = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
            layer.raw_data = bytes(len(layer.raw_data))
            onnx.save(model, str(out))

        monkeypatch.setattr(assembly, "to_onnx", corrupted)
        out = tmp_path / "package"
        with pytest.raises(ExportDiffers):
            call("export", run, out, "--name", "ours", "--version", "1.0.2", *SOURCE)
        assert list(tmp_path.iterdir()) == []

    def test_the_gate_refuses_another_network(self, run, package):
        found = Run.read(run)
        arrays = found.weights(run)
        model = NETWORKS["baseline"](2, SIZE)
        moved = {n: a + 0.02 if n.endswith("scores/kernel") else a for n, a in arrays.items()}
        moved["paper_baseline/scores/bias"] = arrays["paper_baseline/scores/bias"] + [0, 1]
        put(model, moved)
        with pytest.raises(ExportDiffers, match="away from the network"):
            gate.check(package, KerasNetwork(model, SIZE))

    def test_without_calibration_there_is_no_package(self, run, tmp_path):
        for path in run.iterdir():
            if path.is_file() and path.name != "calibration.json":
                (tmp_path / path.name).write_bytes(path.read_bytes())
        with pytest.raises(CalibrationMissing):
            call("export", tmp_path, tmp_path / "p", "--name", "a", "--version", "1", *SOURCE)

    def test_a_source_without_a_licence_is_refused(self, run, tmp_path):
        with pytest.raises(UsageError, match="NAME"):
            call(
                *("export", run, tmp_path / "p", "--name", "a", "--version", "1"),
                *("--source", "somewhere"),
            )


def _crops(table):
    return pictures(table, SIZE, 24)
