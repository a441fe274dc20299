"""`fimq workers`."""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fimq.errors import ServiceError
from fimq.identifiers import short
from fimq.ledger import presence
from fimq.ledger.presence import Presence, WorkerState
from fimq_api.cli.house import open_house
from fimq_api.cli.options import Command, json_option

_COLOURS = {"working": "green", "idle": "green", "draining": "yellow", "silent": "red"}


class NoWorkerHere(ServiceError):
    """No worker of this host is alive."""

    code = "no_worker_here"
    hint = "Its log says why; start one: fimq worker"


@click.command("workers", cls=Command)
@click.option("--all", "every", is_flag=True, help="Also those that stopped in the last day.")
@click.option("--here", is_flag=True, help="Only of this host; exit with 5 if none is alive.")
@json_option
def workers(*, every: bool, here: bool, as_json: bool) -> None:
    """Show who works: on what, since when, with which runtime and version.

    A worker is known by its heartbeat in the ledger, so that this needs no queue. With --here
    it is the health check of a container.

    Example: fimq workers --all
    """
    with open_house() as house, house.ledger.read() as session:
        found = presence.workers(session, within=2 * house.settings.lease_seconds)
    shown = [
        worker
        for worker in found
        if (every or worker.state is not WorkerState.STOPPED)
        and (not here or worker.host == socket.gethostname())
    ]
    if as_json:
        for worker in shown:
            click.echo(json.dumps(asdict(worker), default=_time))
    elif shown:
        _print(shown)
    if here and not any(worker.state.alive for worker in shown):
        raise NoWorkerHere
    if not shown and not as_json:
        click.echo("No worker is known; start one: fimq worker", err=True)


def _time(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds")


def _print(shown: list[Presence]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("worker", "where", "state", "steps", "since", "lanes"):
        table.add_column(name, no_wrap=True)
    table.add_column("fimq, model: runtime")
    for worker in shown:
        table.add_row(
            short(worker.id),
            f"{worker.host}:{worker.pid}",
            Text(worker.state, style=_COLOURS.get(worker.state, "dim")),
            f"{worker.steps}/{worker.slots}",
            f"{worker.started_at:%m-%d %H:%M}",
            ",".join(worker.lanes),
            "\n".join([f"{worker.facts.get('fimq', '?')}", *map(_runtime, _models(worker))]),
        )
    Console(highlight=False, emoji=False, soft_wrap=not sys.stdout.isatty()).print(table)


def _models(worker: Presence) -> list[dict[str, Any]]:
    return list(worker.facts.get("models", {}).values())


def _runtime(facts: dict[str, Any]) -> str:
    return f"{facts['model']}: {facts['name']} {facts['precision']}"
