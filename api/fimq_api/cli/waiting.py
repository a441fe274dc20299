"""Waiting: one progress bar a video on stderr, until every job has ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from fimq.errors import FimqError
from fimq.identifiers import short
from fimq.ledger import reading
from fimq_api.cli.house import House

_POLL_S = 0.15
_CHECK_WORKER_S = 3.0


class WaitTimedOut(FimqError):
    """The time to wait is over; the work goes on."""

    code = "wait_timed_out"
    hint = "Follow it with: fimq watch"
    exit_status = 4


def let_go(job_ids: Sequence[str]) -> int:
    """Say that the work goes on though nobody waits for it; returns the exit status."""
    ids = " ".join(map(short, job_ids))
    click.echo(f"\nLet go. The work goes on; follow it with: fimq watch {ids}", err=True)
    return 130


def wait(house: House, jobs: Sequence[tuple[str, str]], timeout: float | None = None) -> None:
    """Return when all of `jobs` (id, name) have ended.

    Raises:
        WaitTimedOut: `timeout` seconds went by.
        KeyboardInterrupt: the user let go; the jobs go on.
    """
    console = Console(stderr=True)
    started = checked = time.monotonic()
    name_width = min(28, max((len(name) for _, name in jobs), default=8))
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[samples]:>16}"),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bars:
        rows: dict[str, TaskID] = {
            job_id: bars.add_task(_fit(name, name_width), total=None, samples="waiting")
            for job_id, name in jobs
        }
        while True:
            with house.ledger.read() as session:
                known = reading.progress(session, list(rows))
            for job_id, state in known.items():
                _show(bars, rows[job_id], state)
            if all(known[job_id].ended for job_id in rows if job_id in known):
                return
            now = time.monotonic()
            if timeout is not None and now - started > timeout:
                raise WaitTimedOut
            if now - checked > _CHECK_WORKER_S:
                checked = now
                house.check_worker()
            time.sleep(_POLL_S)


def _show(bars: Progress, row: TaskID, state: reading.Progress) -> None:
    planned = state.samples_planned
    done = state.samples_done
    if state.ended:
        bars.update(row, total=planned or 1, completed=planned or 1, samples=_count(done, planned))
    elif planned:
        bars.update(row, total=planned, completed=done, samples=_count(done, planned))
    else:
        bars.update(row, samples=str(state.state))


def _count(done: int, planned: int) -> str:
    return f"{done}/{planned} samples" if planned else "ended"


def _fit(name: str, width: int) -> str:
    return name.ljust(width) if len(name) <= width else name[: width - 1] + "…"
