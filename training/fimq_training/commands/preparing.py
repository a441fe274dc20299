"""The progress of `prepare`, on stderr: a bar where somebody looks, lines elsewhere."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from fimq_training.crops import making
from fimq_training.crops.making import Making

#: Between two lines, where nobody looks.
_LINE_S = 15.0


def show(work: Making) -> None:
    """Run a making to its end and show how it goes."""
    console = Console(stderr=True)
    started = time.monotonic()
    if not console.is_terminal:
        told, waits = started, None
        with closing(work.run()) as steps:
            for progress in steps:
                now = time.monotonic()
                if progress.waits != waits and progress.waits is not None:
                    console.print(progress.waits, soft_wrap=True)
                waits = progress.waits
                if progress.done == progress.files or now - told >= _LINE_S:
                    console.print(line(progress, now - started), soft_wrap=True)
                    told = now
        return
    with (
        Progress(BarColumn(), TextColumn("{task.description}"), console=console) as bar,
        closing(work.run()) as steps,
    ):
        task = bar.add_task("prepare")
        waits = None
        for progress in steps:
            if progress.waits != waits and progress.waits is not None:
                bar.console.print(progress.waits, soft_wrap=True)
            waits = progress.waits
            bar.update(
                task,
                completed=progress.done,
                total=progress.files,
                description=line(progress, time.monotonic() - started),
            )


def line(progress: making.Progress, elapsed_s: float) -> str:
    """How far it is, in one line; `elapsed_s` is the time of this run."""
    words = [
        f"{progress.done:,} of {progress.files:,} files",
        f"{progress.faces:,} faces",
        f"{progress.bad:,} bad",
    ]
    done = progress.done - progress.done_before
    left = progress.files - progress.done
    if done and left:
        words.append(f"{timedelta(seconds=round(elapsed_s / done * left))} left")
    return "  ".join(words)
