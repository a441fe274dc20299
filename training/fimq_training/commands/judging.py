"""The progress of `fimq evaluate`, on stderr: a bar where somebody looks, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from fimq_training.evaluation.judging import Progress

#: Between two lines, where nobody looks.
_LINE_S = 15.0


def show(steps: Iterable[Progress]) -> None:
    """Judge to the end and show how it goes."""
    console = Console(stderr=True)
    started = time.monotonic()
    if not console.is_terminal:
        told = started - _LINE_S
        for step in steps:
            now = time.monotonic()
            if step.judged == step.files or now - told >= _LINE_S:
                console.print(line(step, now - started), soft_wrap=True)
                told = now
        return
    with Bar(BarColumn(), TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("evaluate")
        for step in steps:
            text = line(step, time.monotonic() - started)
            bar.update(task, completed=step.judged, total=step.files, description=text)


def line(step: Progress, elapsed_s: float) -> str:
    """How far it is, in one line; `elapsed_s` is the time of this run."""
    words = [f"{step.judged:,} of {step.files:,} videos judged"]
    if step.submitted < step.files:
        words.append(f"{step.submitted:,} submitted")
    if step.failed:
        words.append(f"{step.failed:,} failed")
    done, left = step.judged - step.before, step.files - step.judged
    if done and left:
        words.append(f"{timedelta(seconds=round(elapsed_s / done * left))} left")
    return "  ".join(words)
