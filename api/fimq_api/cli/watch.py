"""`fimq watch`."""

from __future__ import annotations

import json

import click

from fimq.document import job_document
from fimq.ledger import reading
from fimq.ledger.states import JobState
from fimq_api.cli.house import open_house
from fimq_api.cli.main import print_error
from fimq_api.cli.options import Command, json_option, timeout_option
from fimq_api.cli.verdicts import print_verdicts
from fimq_api.cli.waiting import WaitTimedOut, let_go, wait


@click.command("watch", cls=Command)
@click.argument("jobs", nargs=-1)
@json_option
@timeout_option
def watch(*, jobs: tuple[str, ...], as_json: bool, timeout: float | None) -> int:
    """Follow jobs until they end.

    Without a job: every job that has not ended.

    Example: fimq watch 0198f2ab
    """
    with open_house() as house:
        with house.ledger.read() as session:
            if jobs:
                found = [reading.find_job(session, job) for job in jobs]
                followed = [(job.id, job.name) for job in found]
            else:
                followed = [
                    (row.job_id, row.name)
                    for state in (JobState.RUNNING, JobState.QUEUED)
                    for row in reading.list_jobs(session, state=state, limit=None)
                ]
        if not followed:
            click.echo("Nothing is in work.", err=True)
            return 0
        if missing := house.nobody_works():
            click.echo(missing, err=True)
        status = 0
        try:
            house.check_worker()
            wait(house, followed, timeout)
        except WaitTimedOut as error:
            print_error(error)
            status = error.exit_status
        except KeyboardInterrupt:
            return let_go([job_id for job_id, _ in followed])
        with house.ledger.read() as session:
            documents = [job_document(reading.record(session, job_id)) for job_id, _ in followed]
    if as_json:
        for document in documents:
            click.echo(json.dumps(document))
    else:
        print_verdicts(documents)
    return status or (3 if any(document["state"] == "failed" for document in documents) else 0)
