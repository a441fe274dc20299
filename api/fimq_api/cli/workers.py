"""`fimq workers`."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict
from datetime import datetime

import click
from rich.console import Console
from rich.text import Text

from fimq.errors import ServiceError
from fimq.identifiers import SHORT, short
from fimq.ledger import presence
from fimq.ledger.presence import Presence, WorkerState
from fimq_api.cli.house import open_house
from fimq_api.cli.options import Command, json_option

_COLOURS = {
    "starting": "yellow",
    "working": "green",
    "idle": "green",
    "draining": "yellow",
    "silent": "red",
}


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
        click.echo(f"{_nobody(found)}; start one: fimq worker", err=True)


def _nobody(found: list[Presence]) -> str:
    """Why there is none to show: none was here in the last day, or the last one left."""
    left = [(worker.stopped_at, worker) for worker in found if worker.stopped_at]
    if not left:
        return "No worker is known"
    stopped_at, last = max(left, key=lambda each: each[0])
    return (
        f"No worker is left: {short(last.id)} ({_place(last)}) was the last, "
        f"and stopped at {stopped_at:%Y-%m-%d %H:%M} UTC"
    )


def _time(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds")


def _print(shown: list[Presence]) -> None:
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    wide = max(len("where"), *(len(_place(worker)) for worker in shown))
    console.print(
        f"{'worker':<{SHORT}}  {'where':<{wide}}  {'state':<8}  {'steps':<5}  since        lanes",
        style="bold",
        markup=False,
    )
    for worker in shown:
        line = Text(f"{short(worker.id)}  {_place(worker):<{wide}}  ")
        line.append(f"{worker.state:<8}", style=_COLOURS.get(worker.state, "dim"))
        line.append(
            f"  {f'{worker.steps}/{worker.slots}':<5}  {worker.started_at:%m-%d %H:%M}  "
            f"{','.join(worker.lanes)}"
        )
        console.print(line)
        models = [
            f"{facts['model']} by {facts['name']} {facts['precision']}"
            for facts in worker.facts.get("models", {}).values()
        ]
        about = "  ·  ".join([f"fimq {worker.facts.get('fimq', '?')}", *models])
        console.print(f"{'':<{SHORT}}  {about}", style="dim", markup=False)


def _place(worker: Presence) -> str:
    return f"{worker.host}:{worker.pid}"
