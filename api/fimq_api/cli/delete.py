"""`fimq delete`."""

from __future__ import annotations

import click

from fimq.identifiers import short
from fimq.ledger import deletion, reading
from fimq_api.cli.house import open_house
from fimq_api.cli.options import Command


@click.command("delete", cls=Command)
@click.argument("job")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(*, job: str, yes: bool) -> None:
    """Delete a job, and its video if unused.

    Removes the job's verdict, samples and faces from the ledger, its crops if it cut any, and
    the stored video when no other job is about it.

    Example: fimq delete 0198f2ab --yes
    """
    with open_house() as house:
        with house.ledger.read() as session:
            found = reading.find_job(session, job)
        if not (yes or click.confirm(f"Delete {found.name} ({short(found.id)})?", err=True)):
            return
        deletion.delete(house.ledger, found.id, remove=house.store.delete)
        click.echo(f"{short(found.id)}  {found.name}: deleted")
