"""Curves of a fit as a picture: loss and accuracy by epoch."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fimq_training.disk import room_for
from fimq_training.fitting.history import History


def draw(history: History, path: Path) -> None:
    """Write the curves as PNG, whole or not at all.

    Raises:
        DiskFull: there was no room.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)  # no display, and no state that is shared with other figures
    epochs = [epoch.epoch for epoch in history.epochs]
    for place, name in enumerate(("loss", "accuracy"), start=1):
        axes = figure.add_subplot(1, 2, place)
        axes.plot(epochs, [getattr(e, name) for e in history.epochs], "o-", label="train")
        judged = [e for e in history.epochs if getattr(e, f"val_{name}") is not None]
        if judged:
            values = [getattr(e, f"val_{name}") for e in judged]
            axes.plot([e.epoch for e in judged], values, "s--", label="validation")
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{name} (nats)" if name == "loss" else name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    part = path.with_suffix(".part")
    with room_for(path):
        figure.savefig(part, format="png", dpi=120)
        part.replace(path)
