"""The report of `fimq train evaluate`: JSON for programs, Markdown for people, pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fimq_training.crops.table import Crop
from fimq_training.disk import room_for
from fimq_training.evaluation import metrics
from fimq_training.evaluation.judged import Judged
from fimq_training.evaluation.measures import WITHIN, Measures, Part, measure
from fimq_training.evaluation.pictures import draw_all
from fimq_training.evaluation.predictions import Predictions
from fimq_training.evaluation.robustness import Setback

REAL = "real"


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each class was said of each: the paper's tables 4 and 6."""

    classes: tuple[str, ...]
    counts: list[list[int]]  #: rows actual, columns said
    left_out: int = 0  #: crops of a class that the model does not have

    @property
    def matrix(self) -> NDArray[np.int64]:
        """As an array."""
        return np.array(self.counts, np.int64)


@dataclass(frozen=True, slots=True)
class CropReport:
    """Everything that an evaluation on crops found."""

    model: str
    split: str
    sides: str  #: fingerprint of who stands where in it
    crops: str  #: fingerprint of the test crops
    leaks: str  #: what the split leaks, empty where nothing
    scores: str  #: `calibrated`, or `raw` of a model without calibration
    window_penalty: float  #: that videos were pooled with, in logits for each e-fold of windows
    confusion: Confusion
    measures: tuple[Measures, ...]
    robustness: tuple[Setback, ...]


def confusion(predictions: Predictions, names: Sequence[str]) -> Confusion:
    """By the likeliest class.

    Args:
        predictions: scores of every class.
        names: the class of each crop, by the task of the model.
    """
    index = {name: number for number, name in enumerate(predictions.classes)}
    rows = [row for row, name in enumerate(names) if name in index]
    actual = np.array([index[names[row]] for row in rows], np.int64)
    said = predictions.scores[rows].argmax(1)
    counts = metrics.confusion(actual, said, len(index))
    return Confusion(predictions.classes, counts.tolist(), len(names) - len(rows))


def class_names(crops: Sequence[Crop], classes: Sequence[str]) -> list[str]:
    """The class of each crop: its collection where that is one, else fake or real."""
    if {crop.collection for crop in crops}.isdisjoint(classes):
        return [_label(crop, classes) for crop in crops]
    return [
        REAL
        if REAL in classes and not crop.manipulated and crop.collection not in classes
        else crop.collection
        for crop in crops
    ]


def _label(crop: Crop, classes: Sequence[str]) -> str:
    manipulated = "fake" if "fake" in classes else "manipulated"
    return manipulated if crop.manipulated else REAL


def measured(validation: Predictions, test: Predictions) -> tuple[Measures, ...]:
    """Figures of crops and of videos."""
    return (
        measure("crops", Judged.crops(validation), Judged.crops(test)),
        measure("videos", Judged.videos(validation), Judged.videos(test)),
    )


def write(report: CropReport, test: Predictions, folder: Path) -> None:
    """Write report.json, report.md and the pictures.

    Raises:
        DiskFull: there was no room.
    """
    kinds = {"crops": Judged.crops(test), "videos": Judged.videos(test)}
    names = report.confusion.classes
    with room_for(folder):
        folder.mkdir(parents=True, exist_ok=True)
    pictures = draw_all(folder, kinds, report.confusion.matrix, names)
    _write(folder / "report.json", json.dumps(_plain(asdict(report)), indent=2) + "\n")
    _write(folder / "report.md", markdown(report, pictures))


def markdown(report: CropReport, pictures: Sequence[str] = ()) -> str:
    """The report in words and tables."""
    lines = [f"# {report.model} on {report.split}", ""]
    if report.leaks:
        lines += [f"**This split leaks** ({report.leaks}): its figures flatter.", ""]
    lines += ["Intervals are 95 %, over people.", "", _scores_line(report), "", "## Confusion", ""]
    lines += _confusion_lines(report.confusion)
    if report.confusion.left_out:
        lines += ["", f"{report.confusion.left_out} crops are of classes that the model has not."]
    for measures in report.measures:
        lines += ["", *_measures_lines(measures)]
    if report.robustness:
        lines += ["", "## Robustness", "", "| | | AUC of crops | of videos | change of a score |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        lines += [
            f"| {s.what} | {s.strength:g} | {s.crops_auc:.3f} | {s.videos_auc:.3f} "
            f"| {s.mean_change:.3f} |"
            for s in report.robustness
        ]
    if pictures:
        lines += ["", "## Pictures", "", *(f"![{Path(name).stem}]({name})" for name in pictures)]
    return "\n".join(lines) + "\n"


def _scores_line(report: CropReport) -> str:
    raw = (
        " (the model has no calibration: `fimq train calibrate`)" if report.scores == "raw" else ""
    )
    return (
        f"Scores are {report.scores}{raw}. A video's are pooled; its strongest window loses "
        f"{report.window_penalty:g} logits for each e-fold of windows."
    )


def _confusion_lines(found: Confusion) -> list[str]:
    """Per cent of each actual class, rows actual, as the paper prints them."""
    matrix = found.matrix
    share = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    head = " | ".join(found.classes)
    return [
        f"| actual, % | {head} | crops |",
        "| --- " * (len(found.classes) + 2) + "|",
        *(
            f"| {name} | {' | '.join(f'{value:.2f}' for value in row)} | {int(counts.sum())} |"
            for name, row, counts in zip(found.classes, share, matrix, strict=True)
        ),
    ]


def _measures_lines(m: Measures) -> list[str]:
    lines = [
        f"## {m.kind.capitalize()}",
        "",
        f"{m.real} real and {m.manipulated} manipulated {m.kind} of {m.units} people.",
        "",
        "| | |",
        "| --- | --- |",
        f"| ROC-AUC | {m.auc} |",
        f"| average precision | {m.average_precision} |",
        f"| equal error rate | {m.equal_error} |",
        f"| log loss, nats | {m.log_loss} |",
        f"| Brier score | {m.brier} |",
        f"| expected calibration error | {m.calibration_error} |",
        "",
        "Thresholds are chosen on validation and carried over. Precision is what to expect where",
        "that share of videos is manipulated.",
        "",
        "| wanted | threshold | found | false positives | precision at 10 % | 1 % | .1 % |",
        "| --- " * 7 + "|",
    ]
    lines += [
        f"| {p.wanted:.1%} | {p.threshold:.3f} | {p.hits} | {p.alarms} | "
        + " | ".join("-" if math.isnan(v) else f"{v:.2f}" for v in p.precision.values())
        + " |"
        for p in m.points
    ]
    for title, parts in m.parts.items():
        if parts:
            lines += ["", f"By {title}, called at the threshold for 1 %:", ""]
            against = "real of the same" if title in WITHIN else "all real"
            lines += [f"| {title} | {m.kind} | AUC against {against} | called |"]
            lines += ["| --- | --- | --- | --- |", *(_part_line(part) for part in parts)]
    return lines


def _part_line(part: Part) -> str:
    return f"| {part.name} | {part.rows} | {part.auc or part.no_auc or '-'} | {part.called} |"


def _plain(value: Any) -> Any:
    """JSON has no NaN: what could not be measured is null."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    with room_for(path):
        part.write_text(text, encoding="utf-8")
        part.replace(path)
