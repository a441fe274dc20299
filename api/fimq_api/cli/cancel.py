"""`fimq cancel`."""

from __future__ import annotations

import time

import click

from fimq.errors import WrongState
from fimq.identifiers import short
from fimq.ledger import completion, reading
from fimq.ledger.database import Ledger
from fimq_api.cli.house import open_house
from fimq_api.cli.options import Command

_POLL_S = 0.1


@click.command("cancel", cls=Command)
@click.argument("job")
@click.option("--wait", "waits", is_flag=True, help="Return when the worker has let go.")
def cancel(*, job: str, waits: bool) -> None:
    """Stop a job. Its video stays.

    Work in progress is dropped at the worker's next heartbeat.

    Example: fimq cancel 0198f2ab
    """
    with open_house() as house:
        with house.ledger.read() as session:
            found = reading.find_job(session, job)
        if not completion.cancel(house.ledger, found.id):
            with house.ledger.read() as session:
                state = reading.record(session, found.id).job.state
            raise WrongState(f"{found.name} has ended already: it is {state}")
        click.echo(f"{short(found.id)}  {found.name}: cancelled")
        if waits:
            _wait(house.ledger, found.id)


def _wait(ledger: Ledger, job_id: str) -> None:
    while True:
        with ledger.read() as session:
            if not reading.held_steps(session, job_id):
                return
        time.sleep(_POLL_S)
