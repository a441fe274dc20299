"""`fimq up` and `fimq down`."""

from __future__ import annotations

import click

from fimq.embedded.stack import Stack
from fimq.errors import UsageError
from fimq_api.cli.house import House, open_house
from fimq_api.cli.options import Command


@click.command("up", cls=Command)
def up() -> None:
    """Start the private queue and worker.

    Nothing happens when they run. They stop by themselves when idle (FIMQ_IDLE_SECONDS).

    Example: fimq up
    """
    with open_house() as house:
        state = _private(house).ensure()
        click.echo(f"queue   runs ({house.settings.broker_socket})")
        click.echo(f"worker  runs (pid {state.worker_pid}, log {house.stack.worker_log})")


@click.command("down", cls=Command)
def down() -> None:
    """Stop the private queue and worker.

    Work in progress is given back and goes on at the next `fimq up` or `fimq submit`.

    Example: fimq down
    """
    with open_house() as house:
        before = _private(house).stop()
    click.echo("worker  " + ("stopped" if before.worker_pid else "did not run"))
    click.echo("queue   " + ("stopped" if before.queue else "did not run"))


def _private(house: House) -> Stack:
    if not house.settings.embedded_queue:
        raise UsageError("FIMQ_BROKER_URL names a queue of your own; start workers: fimq worker")
    return house.stack
