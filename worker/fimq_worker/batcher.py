"""The micro-batcher: crops of many videos fill one batch of one runtime.

Threads hand in crops and wait for their scores. One thread of the batcher's own runs the
runtime: when a batch is full, when the oldest crop has waited long enough, or when every
active slot is waiting, so that nobody else could add. Each caller gets its own scores in
its own order, whatever they were batched with; a batch that fails fails those in it only.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from fimq_worker.runtimes.base import Runtime

LARGEST: Final = 64  #: crops in a batch
PATIENCE: Final = 0.008  #: seconds that a crop waits for others


@dataclass(eq=False, slots=True)
class _Order:
    """The crops of one caller, who waits for `done`. Until then the batcher's thread has it."""

    crops: NDArray[np.uint8]
    deadline: float
    taken: int = 0  #: crops that went into a batch
    scores: list[NDArray[np.float32]] = field(default_factory=list)
    scored: int = 0
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Consecutive crops of an order that go into one batch."""

    order: _Order
    crops: NDArray[np.uint8]


class Batcher:
    """Shares one runtime among the slots of a worker. Close it, or use it in a `with`."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        largest: int = LARGEST,
        patience: float = PATIENCE,
        on_batch: Callable[[int], None] = lambda _crops: None,
    ) -> None:
        """Start to serve `runtime`, in batches of at most `largest` crops.

        Args:
            runtime: what scores; only the batcher's thread uses it.
            largest: crops in a batch.
            patience: seconds that a crop waits for others at most.
            on_batch: told of the crops in each batch.
        """
        self._runtime = runtime
        self._largest = largest
        self._patience = patience
        self._on_batch = on_batch
        self._changed = threading.Condition()
        self._waiting: deque[_Order] = deque()
        self._slots = 0
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="fimq-batcher", daemon=True)
        self._thread.start()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Count the caller as active: while it is, batches wait a moment for its crops."""
        self._count_slot(1)
        try:
            yield
        finally:
            self._count_slot(-1)

    def score(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the class scores (N, K) of crops (N, size, size, 3); wait for them.

        Raises:
            ModelInvalid: the runtime could not score them, or others of the same batch.
            RuntimeError: the batcher is closed.
        """
        order = _Order(crops, time.monotonic() + self._patience)
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._waiting.append(order)
            self._changed.notify_all()
        order.done.wait()
        if order.error is not None:
            raise order.error
        return np.concatenate(order.scores)

    def close(self) -> None:
        """Score what was handed in, then stop. Nothing can be handed in any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _count_slot(self, change: int) -> None:
        with self._changed:
            self._slots += change
            self._changed.notify_all()

    def _serve(self) -> None:
        while batch := self._next_batch():
            self._on_batch(sum(len(piece.crops) for piece in batch))
            try:
                scores = self._runtime.score(np.concatenate([piece.crops for piece in batch]))
            except BaseException as error:  # noqa: BLE001 -- raised again in each caller
                self._fail(batch, error)
            else:
                self._deliver(batch, scores)

    def _next_batch(self) -> list[_Piece]:
        """Wait until a batch is due and take it; empty when closed and nothing is left."""
        with self._changed:
            while not self._is_due():
                if self._closed and not self._waiting:
                    return []
                self._changed.wait(self._time_left())
            return self._take()

    def _is_due(self) -> bool:
        if not self._waiting:
            return False
        crops = sum(len(order.crops) - order.taken for order in self._waiting)
        return (
            self._closed
            or crops >= self._largest
            or len(self._waiting) >= self._slots
            or self._time_left() == 0
        )

    def _time_left(self) -> float | None:
        """Seconds until the oldest order may wait no longer; None without orders."""
        if not self._waiting:
            return None
        return max(self._waiting[0].deadline - time.monotonic(), 0.0)

    def _take(self) -> list[_Piece]:
        """Take the oldest crops, so many as fit; the last order may be split."""
        batch: list[_Piece] = []
        room = self._largest
        while self._waiting and room > 0:
            order = self._waiting[0]
            crops = order.crops[order.taken : order.taken + room]
            batch.append(_Piece(order, crops))
            order.taken += len(crops)
            room -= len(crops)
            if order.taken >= len(order.crops):
                self._waiting.popleft()
        return batch

    def _deliver(self, batch: list[_Piece], scores: NDArray[np.float32]) -> None:
        start = 0
        for piece in batch:
            order, stop = piece.order, start + len(piece.crops)
            order.scores.append(scores[start:stop])
            order.scored += len(piece.crops)
            start = stop
            if order.scored >= len(order.crops):
                order.done.set()

    def _fail(self, batch: list[_Piece], error: BaseException) -> None:
        with self._changed:
            for piece in batch:
                piece.order.error = error
                if piece.order in self._waiting:
                    self._waiting.remove(piece.order)
                piece.order.done.set()
