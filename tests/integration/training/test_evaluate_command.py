"""`fimq train evaluate`: figures of a fit, and of a package, on crops."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from extras import need

need("tensorflow", extra="training")

from crop_folder import SIZE
from fimq.errors import RunDiffers, RunMissing, UsageError
from fimq_training.commands.train import train
from fimq_training.evaluation import crop_report, metrics
from fimq_training.evaluation.predictions import Predictions
from fimq_training.fitting.run import SPLIT
from fimq_training.recipes.recipe import HOUSE
from fimq_training.splits.split import Side, Split


def call(*arguments):
    return CliRunner().invoke(train, [*map(str, arguments)], catch_exceptions=False)


@pytest.fixture(scope="module")
def split(table):
    sides = {key: list(Side)[number // 2 % 3] for number, key in enumerate(table.keys)}
    path = table.folders["made"] / "splits" / "thirds.parquet"
    Split("thirds", sides).write(path)
    return Split.read(path)


@pytest.fixture(scope="module")
def run(table, split, tmp_path_factory):
    """A fit of the small network, by method."""
    folder = tmp_path_factory.mktemp("runs")
    text = (HOUSE / "paper-baseline-binary.toml").read_text()
    (folder / "small.toml").write_text(text.replace("size = 128", f"size = {SIZE}"))
    common = (folder / "small.toml", table.folders["made"], "--init", "none", "--split", "thirds")
    result = call("fit", *common, "--out", folder / "run", "--epochs", 12)
    assert result.exit_code == 0
    return folder / "run"


def test_it_leaves_a_report_for_programs_people_and_eyes(run, table, split):
    result = call("evaluate", run, table.folders["made"], "--robustness")
    assert result.exit_code == 0, result.output
    out = run / "evaluation"
    assert str(out / "report.md") in result.stdout
    report = json.loads((out / "report.json").read_text())
    crops, videos = report["measures"]
    assert (crops["kind"], videos["kind"]) == ("crops", "videos")
    assert crops["auc"]["low"] <= crops["auc"]["value"] <= crops["auc"]["high"]
    assert crops["auc"]["value"] > 0.7
    assert [point["wanted"] for point in crops["points"]] == [0.001, 0.01, 0.05]
    assert [part["name"] for part in crops["parts"]["method"]] == ["Deepfakes"]
    assert [part["name"] for part in crops["parts"]["real source"]] == ["Youtube"]
    assert len(report["robustness"]) == 12
    assert sum(map(sum, report["confusion"]["counts"])) == len(split.keys(Side.TEST))
    for name in ("roc", "reliability", "histograms", "confusion"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert report["scores"] == "raw"
    assert "these scores are raw" in result.stderr
    text = (out / "report.md").read_text()
    assert "Scores are raw (the model has no calibration: `fimq train calibrate`)." in text
    assert "| actual, % | fake | real | crops |" in text
    assert "precision at 10 %" in text


def test_the_figures_are_those_of_the_predictions_that_it_kept(run, table, split):
    call("evaluate", run, table.folders["made"], "--out", run / "again")
    kept = Predictions.read(run / "again" / "predictions.parquet", table)
    report = json.loads((run / "again" / "report.json").read_text())
    assert {crop.key for crop in kept.crops} == set(split.keys(Side.TEST))
    assert np.allclose(kept.scores.sum(1), 1, atol=1e-5)
    auc = metrics.roc_auc(kept.labels, kept.manipulated_scores)
    assert report["measures"][0]["auc"]["value"] == pytest.approx(auc, abs=1e-12)


def test_a_split_that_leaks_is_said_on_top(run, table, split, tmp_path):
    leaky = tmp_path / "leaky.parquet"
    Split("leaky", split.sides, facts={"leaks": "by image"}).write(leaky)
    call("evaluate", run, table.folders["made"], "--split", leaky, "--out", tmp_path / "out")
    assert "**This split leaks** (by image)" in (tmp_path / "out" / "report.md").read_text()


def test_the_package_in_the_wheel_can_be_measured(table, split, tmp_path):
    package = Path(__import__("fimq").__file__).parent / "models" / "default"
    with pytest.raises(UsageError, match="--split"):
        call("evaluate", package, table.folders["made"])
    out = ("--split", "thirds", "--out", tmp_path / "out")
    assert call("evaluate", package, table.folders["made"], *out).exit_code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["model"].startswith("fimq-b0@")
    assert report["scores"] == "calibrated"
    assert report["confusion"]["classes"] == ["real", "manipulated"]


def test_a_folder_without_a_model_is_named(table, split, tmp_path):
    with pytest.raises(RunMissing, match="neither"):
        call("evaluate", tmp_path, table.folders["made"], "--split", "thirds")


def test_seven_classes_print_the_papers_table(table):
    classes = ("CelebA", "Deepfakes", "Youtube")
    scores = np.eye(3)[[1, 2, 1, 2]]
    rows = [c for c in table.crops if c.collection in classes][:4]
    made = Predictions(rows, classes, (False, True, False), scores)
    found = crop_report.confusion(made, crop_report.class_names(rows, classes))
    assert found.counts == [[0, 0, 0], [0, 0, 2], [0, 2, 0]]
    assert "| Youtube | 0.00 | 100.00 | 0.00 | 2 |" in "\n".join(
        crop_report._confusion_lines(found)
    )


def test_real_crops_of_every_collection_are_real_and_a_method_unknown_is_left_out(table):
    classes = ("real", "FaceSwap")
    real, other = (next(c for c in table.crops if c.manipulated is flag) for flag in (False, True))
    rows = [real, other, replace(other, collection="FaceSwap")]
    made = Predictions(rows, classes, (False, True), np.eye(2)[[0, 1, 1]])
    found = crop_report.confusion(made, crop_report.class_names(rows, classes))
    assert found.counts == [[1, 0], [0, 1]]
    assert found.left_out == 1


def test_another_split_is_taken_unless_it_measures_on_what_was_fitted(run, table, split, tmp_path):
    folder = table.folders["made"]
    # The split that was fitted with is kept with the run, whatever becomes of the original.
    assert Split.read(run / SPLIT).sides == split.sides
    turned = {Side.TRAIN: Side.TEST, Side.TEST: Side.TRAIN, Side.VALIDATION: Side.VALIDATION}
    Split("turned", {k: turned[s] for k, s in split.sides.items()}).write(tmp_path / "t.parquet")
    with pytest.raises(RunDiffers, match=r"was fitted on .* crops that turned measures on"):
        call("evaluate", run, folder, "--split", tmp_path / "t.parquet")
    part = {key: side for key, side in split.sides.items() if side is not Side.TRAIN}
    Split("part", part).write(tmp_path / "p.parquet")
    out = ("--split", tmp_path / "p.parquet", "--out", tmp_path / "out")
    assert call("evaluate", run, folder, *out).exit_code == 0
