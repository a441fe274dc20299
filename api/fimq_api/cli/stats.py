"""`fimq stats`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from fimq.ledger import stats as asked
from fimq.ledger.stats import Stats
from fimq.settings import LANES
from fimq_api.cli import words
from fimq_api.cli.house import open_house
from fimq_api.cli.options import Command, json_option


@click.command("stats", cls=Command)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    help="Count what ended in so many minutes.",
)
@json_option
def stats(*, minutes: float, as_json: bool) -> None:
    """Say how it goes: what waits, what was judged, who works.

    Example: fimq stats --minutes 15
    """
    with open_house() as house, house.ledger.read() as session:
        told = asked.stats(
            session,
            lanes=LANES,
            window=60 * minutes,
            silent=2 * house.settings.lease_seconds,
        )
    if as_json:
        click.echo(json.dumps(asdict(told)))
        return
    _print(told)


def _print(told: Stats) -> None:
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("lane")
    for name in ("queued", "running", "oldest", "done", "failed", "cancelled"):
        table.add_column(name, justify="right")
    for lane in told.lanes:
        age = "-" if lane.oldest_s is None else words.clock(lane.oldest_s)
        ended = (lane.done, lane.failed, lane.cancelled)
        table.add_row(lane.lane, str(lane.queued), str(lane.running), age, *map(str, ended))
    console.print(table)
    past = words.clock(told.window_s)
    console.print(f"done, failed and cancelled count the last {past}", style="dim", markup=False)
    lines = {
        "verdicts": _counts({words.OUTCOMES.get(k, k): n for k, n in told.outcomes.items()}),
        "failures": _counts(told.failures),
        "judged": f"{words.clock(told.video_s)} of video in {past}, "
        f"{told.video_s / told.window_s:.2f} minutes a minute",
        "workers": f"{_counts(told.workers)}; {told.slots} slots",
    }
    for name, line in lines.items():
        console.print(f"{name:<9} {line}", markup=False)


def _counts(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in ordered) or "none"
