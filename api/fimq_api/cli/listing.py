"""`fimq list`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fimq.errors import UsageError
from fimq.identifiers import short
from fimq.ledger import reading
from fimq.ledger.states import JobState
from fimq_api.cli import words
from fimq_api.cli.house import open_house
from fimq_api.cli.options import Command, json_option


@click.command("list", cls=Command)
@click.option(
    "--state",
    type=click.Choice([state.value for state in JobState]),
    help="Only jobs in this state.",
)
@click.option("--failed", is_flag=True, help="Only failed jobs, counted by code.")
@click.option("--code", help="Only jobs that failed with this code.")
@click.option("--limit", type=click.IntRange(min=1), default=50, help="So many at most.")
@json_option
def list_(*, state: str | None, failed: bool, code: str | None, limit: int, as_json: bool) -> None:
    """List jobs, newest first.

    Example: fimq list --failed
    """
    if state not in {None, JobState.FAILED} and (failed or code):
        raise UsageError(f"a job that is {state} has not failed: give --state or --failed")
    wanted = JobState.FAILED if failed or code else state
    with open_house() as house, house.ledger.read() as session:
        rows = reading.list_jobs(session, state=wanted, code=code, limit=limit)
        counts = reading.failures(session, code=code) if failed else {}
    if as_json:
        for row in rows:
            click.echo(json.dumps(asdict(row), default=_time))
        return
    if not rows:
        click.echo("No jobs.", err=True)
        return
    for name, count in counts.items():
        click.echo(f"{count:>5}  {name}")
    _print(rows)


def _time(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds")


def _print(rows: list[reading.Listed]) -> None:
    several = len({row.lane for row in rows}) > 1
    # Nothing is cut where a program reads.
    room = (14 if several else 23) if sys.stdout.isatty() else sys.maxsize
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "submitted", *(["lane"] if several else []), "video", "outcome"):
        table.add_column(name, no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    for row in rows:
        said = row.outcome or row.state
        outcome = words.OUTCOMES.get(said, said) + (
            f" [{row.error_code}]" if row.error_code else ""
        )
        if row.crops is not None:
            outcome = f"crops cut: {words.counted(row.crops, 'face')}"
        table.add_row(
            short(row.job_id),
            f"{row.created_at:%m-%d %H:%M}",
            *([row.lane] if several else []),
            Text(words.middle(row.name, room)),
            Text(outcome, style=words.COLOURS.get(said, "")),
            words.score(row.score),
        )
    Console(highlight=False, emoji=False, soft_wrap=not sys.stdout.isatty()).print(table)
