"""Pictures of an evaluation: ROC, reliability, confusion, histograms, as PNG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fimq_training.disk import room_for
from fimq_training.evaluation import metrics
from fimq_training.evaluation.judged import Judged

Said = dict[str, dict[str, int]]  #: label -> what was said -> videos
#: Of each outcome, one colour a reason, so that pictures of two models can be laid side by side.
_COLOURS = {
    "manipulated": ("#c0392b",),
    "uncertain": ("#e6a23c",),
    "no_manipulation_found": ("#3a7d5c",),
    "not_applicable": ("#7f8c9b", "#a9b4bf", "#ccd3da"),
    "failed": ("#222222", "#444444", "#666666"),
    "cancelled": ("#999999",),
}


def draw_all(
    folder: Path, kinds: dict[str, Judged], matrix: NDArray[np.int64], names: Sequence[str]
) -> list[str]:
    """Write every picture; returns their file names."""
    return [
        _draw(folder / "roc.png", lambda axes: _roc(axes, kinds)),
        _draw(folder / "reliability.png", lambda axes: _reliability(axes, kinds)),
        _draw(folder / "histograms.png", lambda axes: _histograms(axes, kinds["videos"])),
        _draw(folder / "confusion.png", lambda axes: _confusion(axes, matrix, names)),
    ]


def draw_videos(folder: Path, judged: Judged, said: Said) -> list[str]:
    """Write the pictures of whole videos; those that need scores or both classes only with them.

    Args:
        folder: where.
        judged: videos that have a score.
        said: how often what was said of each label.
    """
    names = [_draw(folder / "outcomes.png", lambda axes: _outcomes(axes, said))]
    kinds = {"videos": judged}
    if len(judged):
        names.append(_draw(folder / "histograms.png", lambda axes: _histograms(axes, judged)))
        names.append(_draw(folder / "reliability.png", lambda axes: _reliability(axes, kinds)))
    if judged.labels.any() and not judged.labels.all():
        names.insert(0, _draw(folder / "roc.png", lambda axes: _roc(axes, kinds)))
    return names


def _draw(path: Path, fill: Callable[[Any], None]) -> str:
    figure = Figure(figsize=(5, 4.4), layout="constrained")
    FigureCanvasAgg(figure)  # no display, and no state that is shared with other figures
    fill(figure.add_subplot())
    part = path.with_suffix(".part")
    with room_for(path):
        figure.savefig(part, format="png", dpi=130)
        part.replace(path)
    return path.name


def _roc(axes: Any, kinds: dict[str, Judged]) -> None:
    for (name, judged), style in zip(kinds.items(), ("-", "--"), strict=False):
        curve = metrics.roc(judged.labels, judged.scores)
        label = f"{name}: AUC {curve.auc:.3f}"
        axes.plot(curve.false_positives, curve.true_positives, style, label=label)
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    axes.legend(loc="lower right")


def _reliability(axes: Any, kinds: dict[str, Judged]) -> None:
    for (name, judged), style in zip(kinds.items(), ("o-", "s--"), strict=False):
        bins = metrics.reliability(judged.labels, judged.scores)
        axes.plot(bins.score, bins.share, style, label=f"{name}: ECE {bins.error:.3f}")
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.set(xlabel="mean score", ylabel="share manipulated", title="Reliability")
    axes.legend(loc="upper left")


def _histograms(axes: Any, judged: Judged) -> None:
    bins = np.linspace(0, 1, 26)
    for label, name, style in ((False, "real", {}), (True, "manipulated", {"histtype": "step"})):
        axes.hist(judged.scores[judged.labels == label], bins, label=name, alpha=0.8, **style)
    axes.set(xlabel="score of a video", ylabel="videos", title="Scores")
    axes.legend()


def _outcomes(axes: Any, said: Said) -> None:
    labels = list(said)[::-1]
    total = np.array([max(1, sum(said[label].values())) for label in labels])
    left = np.zeros(len(labels))
    for outcome, colours in _COLOURS.items():
        kinds = sorted({k for kinds in said.values() for k in kinds if k.startswith(outcome)})
        for number, kind in enumerate(kinds):
            share = 100 * np.array([said[label].get(kind, 0) for label in labels]) / total
            colour, name = colours[number % len(colours)], kind.replace("_", " ")
            axes.barh(labels, share, left=left, label=name, color=colour)
            left += share
    axes.set(xlabel="% of the videos", title="What was said")
    axes.figure.legend(loc="outside lower center", ncols=2, fontsize="small")


def _confusion(axes: Any, matrix: NDArray[np.int64], names: Sequence[str]) -> None:
    share = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    places = range(len(names))
    axes.set_xticks(places, names, rotation=40, ha="right")
    axes.set_yticks(places, names)
    for row in places:
        for column in places:
            ink = "white" if share[row, column] > 55 else "black"
            axes.text(column, row, f"{share[row, column]:.1f}", ha="center", va="center", color=ink)
    axes.set(xlabel="said", ylabel="actual", title="Confusion, % of the actual class")
