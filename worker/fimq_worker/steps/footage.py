"""Footage: the stored video of a step, with a decode child of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from fimq.store.base import Store
from fimq_worker.child.client import Cancelled, ChildPool, DecodeChild
from fimq_worker.holding import Held, Stopped


class Footage:
    """Opens videos for steps. One instance serves every slot of a worker."""

    def __init__(self, store: Store, children: ChildPool) -> None:
        """Open nothing yet."""
        self.store = store
        self.children = children

    @contextmanager
    def opened(self, held: Held) -> Iterator[tuple[BinaryIO, DecodeChild]]:
        """The stored video and a child of one's own, stopped when the claim is taken away.

        Raises:
            Stopped: it was.
        """
        claim = held.claim
        with (
            self.store.open(claim.store_key, claim.sha256, check=held.check) as video,
            self.children.borrow() as child,
        ):
            held.on_stop(child.cancel)
            held.check()
            try:
                yield video, child
            except Cancelled as cancelled:
                raise Stopped from cancelled
