"""`fimq retry`."""

from __future__ import annotations

import click

from fimq.errors import JobNotFound, UsageError, WrongState
from fimq.identifiers import short
from fimq.ledger import reading
from fimq.ledger.submission import retry as retry_job
from fimq_api.cli.house import open_house
from fimq_api.cli.main import print_error
from fimq_api.cli.options import Command


@click.command("retry", cls=Command)
@click.argument("jobs", nargs=-1)
@click.option("--failed", is_flag=True, help="Every failed job that was not retried yet.")
@click.option("--code", help="Of the failed ones, those with this code.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def retry(*, jobs: tuple[str, ...], failed: bool, code: str | None, yes: bool) -> int:
    """Judge again what failed or was cancelled.

    Makes a new job of the same request; the old one keeps its end and names the new one.

    Example: fimq retry --failed --code decoder_timeout
    """
    if bool(jobs) == bool(failed or code):
        raise UsageError("name jobs, or give --failed")
    with open_house() as house:
        with house.ledger.read() as session:
            if jobs:
                wanted = [reading.find_job(session, job).id for job in jobs]
            else:
                wanted = reading.retryable(session, code=code)
        if not jobs:
            if not wanted:
                click.echo("Nothing failed that was not judged again.", err=True)
            else:
                click.echo(f"{len(wanted)} failed jobs will be judged again.", err=True)
            if not wanted or not (yes or click.confirm("Go on?", err=True)):
                return 0
        steps, status = [], 0
        for job_id in wanted:
            try:
                made = retry_job(house.ledger, job_id)
            except (WrongState, JobNotFound) as error:
                # Those that were made are rung for, whatever becomes of the others.
                print_error(error)
                status = error.exit_status
                continue
            with house.ledger.read() as session:
                again = reading.record(session, made.job_id).job
            if made.step_id:
                steps.append((made.step_id, again.lane))
            click.echo(f"{short(made.job_id)}  {again.name}")
        if steps:
            house.ring(steps)
        return status
