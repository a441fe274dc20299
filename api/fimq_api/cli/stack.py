"""`fimq up` and `fimq down`."""

from __future__ import annotations

import click

from fimq.embedded.stack import Stack
from fimq.errors import UsageError
from fimq.settings import Settings, load_settings
from fimq_api.cli.house import open_house
from fimq_api.cli.options import Command


@click.command("up", cls=Command)
def up() -> None:
    """Start the private queue and worker.

    Nothing happens when they run. They stop by themselves when idle (FIMQ_IDLE_SECONDS).

    Example: fimq up
    """
    # The worker asks for a ledger of this version's schema; opening the house makes it.
    with open_house() as house:
        stack = _private(house.settings)
        state = stack.ensure()
    click.echo(f"queue   runs ({stack.settings.broker_socket})")
    click.echo(f"worker  runs (pid {state.worker_pid}, log {stack.worker_log})")


@click.command("down", cls=Command)
def down() -> None:
    """Stop the private queue and worker.

    Work in progress is given back and goes on at the next `fimq up` or `fimq submit`.

    Example: fimq down
    """
    # Without the house: what runs can be stopped though the ledger cannot be opened.
    before = _private(load_settings()).stop()
    click.echo("worker  " + ("stopped" if before.worker_pid else "did not run"))
    click.echo("queue   " + ("stopped" if before.queue else "did not run"))


def _private(settings: Settings) -> Stack:
    if not settings.embedded_queue:
        raise UsageError("FIMQ_BROKER_URL names a queue of your own; start workers: fimq worker")
    return Stack(settings)
