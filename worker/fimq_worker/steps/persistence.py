"""Persistence: what a step asks of the ledger is asked again while the ledger is away.

What it writes is conditional on its claim, so a second try does no harm. Where the first was
committed and only its answer was lost, the second finds the claim gone and says `lost`, as
it would of a claim that another took: the work is in the ledger, and the sweep rings for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from fimq.errors import LedgerUnreachable
from fimq_worker.holding import Held

log = structlog.get_logger(__name__)

#: Seconds between two tries: the first ones, and what they grow to.
_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0

_Answer = TypeVar("_Answer")


class Persistence:
    """Tries for one lease: afterwards the step is another's."""

    def __init__(self, lease: float) -> None:
        """Keep for how many seconds a claim outlives the ledger's silence."""
        self.lease = lease

    def ask(self, held: Held, ask: Callable[[], _Answer]) -> _Answer:
        """Return what `ask` returns, trying again while the ledger is away.

        A worker that is told to stop tries on, until its grace time is over: the work is done
        and only has to be told. Nobody waits with a claim that is lost.

        Raises:
            LedgerUnreachable: it was away for a whole lease.
        """
        wait = _WAIT_S
        give_up: float | None = None
        while True:
            try:
                return ask()
            except LedgerUnreachable as error:
                now = time.monotonic()
                give_up = give_up or now + self.lease
                if held.lost or now + wait > give_up:
                    raise
                log.warning("ledger away: the step waits for it", error=error.message)
            held.lost_within(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)
