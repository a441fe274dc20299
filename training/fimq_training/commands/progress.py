"""The progress of a fit, on stderr: a bar where somebody looks, a line an epoch elsewhere."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fimq_training.fitting.fit import Fit
from fimq_training.fitting.history import Epoch


def show(fit: Fit) -> None:
    """Run a fit to its end and show how it goes."""
    console = Console(stderr=True)
    if not console.is_terminal:
        for progress in fit.run():
            if progress.finished is not None:
                console.print(_line(progress.finished, progress.epochs, progress.images_per_s))
        return
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TextColumn("loss {task.fields[loss]:.3f}  accuracy {task.fields[accuracy]:.3f}"),
        TextColumn("{task.fields[rate]:.0f} images/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = None
        for progress in fit.run():
            fields: dict[str, Any] = {
                "epoch": progress.epoch,
                "epochs": progress.epochs,
                "loss": progress.loss,
                "accuracy": progress.accuracy,
                "rate": progress.images_per_s,
            }
            if task is None:
                task = bar.add_task("fit", total=progress.steps, **fields)
            bar.update(task, completed=progress.step, **fields)
            if progress.finished is not None:
                line = _line(progress.finished, progress.epochs, progress.images_per_s)
                console.print(line)
                bar.reset(task)


def _line(epoch: Epoch, epochs: int, images_per_s: float) -> str:
    judged = (
        ""
        if epoch.val_loss is None
        else f"  validation {epoch.val_loss:.4f} {epoch.val_accuracy:.4f}"
    )
    return (
        f"epoch {epoch.epoch}/{epochs}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}"
        f"{judged}  {images_per_s:.0f} images/s"
    )
