"""Fits side by side: branches need nothing of each other, so each gets cores of its own.

On a CPU two fits of one thread each make about a quarter more images a second than one after
the other with two (`docs/training-log.md`). On a GPU they would only share its memory. A fit alone
gets a process of its own too: what TensorFlow took is given back when it ends, and only then.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TYPE_CHECKING, Protocol

from fimq_training.parent import end_with_parent
from fimq_training.quiet import import_tensorflow

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    from fimq_training.fitting.fit import Progress

    Told = Queue[tuple[int, Progress]]


class Fitting(Protocol):
    """A fit that can be sent to another process."""

    def run(self) -> Iterator[Progress]:
        """Fit, or go on at the last checkpoint."""


LISTEN_S = 0.5  #: between two looks at whether a fit is still there


def side_by_side(
    fits: Sequence[Fitting], among: int | None = None
) -> Iterator[tuple[int, Progress]]:
    """Run fits, as many at once as there are cores; yields which one is how far.

    Args:
        fits: those that have not ended.
        among: how many there were at first. As many threads as then go to each, because another
            number of threads gives other weights.

    Raises:
        BrokenProcessPool: a process was killed; the checkpoints of the fits are there.
        Whatever a fit raises.
    """
    if not fits:
        return
    cores = len(os.sched_getaffinity(0))
    at_once = min(among or len(fits), 1 if _has_gpu() else cores)
    # A fork would copy the locks of TensorFlow's threads, held or not.
    context = multiprocessing.get_context("spawn")
    told: Told = context.Queue()
    threads = max(1, cores // at_once)
    with ProcessPoolExecutor(
        at_once, mp_context=context, initializer=_begin, initargs=(told, threads)
    ) as processes:
        running = [processes.submit(_run, number, fit) for number, fit in enumerate(fits)]
        yield from _heard(told, running)


def _heard(told: Told, running: Sequence[Future[None]]) -> Iterator[tuple[int, Progress]]:
    while True:
        over = all(future.done() for future in running)
        try:
            while True:
                yield told.get(timeout=LISTEN_S)
        except queue.Empty:
            if over:
                break
        for future in running:
            if future.done():
                future.result()  # the first failure ends all


class _Mine:
    """What a process was given."""

    told: Told


def _begin(told: Told, threads: int) -> None:
    end_with_parent()
    tf = import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    _Mine.told = told


def _run(number: int, fit: Fitting) -> None:
    for progress in fit.run():
        _Mine.told.put((number, progress))


def _has_gpu() -> bool:
    return bool(import_tensorflow().config.list_physical_devices("GPU"))
