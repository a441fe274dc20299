"""`fimq worker`."""

from __future__ import annotations

import click

from fimq import logs
from fimq.errors import UsageError
from fimq.identifiers import short
from fimq.settings import LANES, Settings, load_settings


@click.command("worker")
@click.option(
    "--lanes",
    type=click.Choice(LANES),
    multiple=True,
    default=LANES,
    show_default=True,
    show_envvar=True,
    help="Lanes to serve; the first one named goes first.",
)
@click.option(
    "--slots", type=click.IntRange(min=1), show_envvar=True, help="Steps that run at once."
)
@click.option(
    "--metrics",
    metavar="[HOST:]PORT",
    show_envvar=True,
    help="Serve Prometheus metrics there; a port alone is the loopback's, 0 is any free one "
    "(the log names it). Left out: none are served.",
)
@click.option("--drain", metavar="WORKER", help="Ask a running worker to end its work and go.")
@click.option("--embedded", is_flag=True, hidden=True, help="Stop when idle, with the queue.")
def worker(
    *,
    lanes: tuple[str, ...],
    slots: int | None,
    metrics: str | None,
    drain: str | None,
    embedded: bool,
) -> int:
    """Run a worker in this terminal.

    SIGTERM or Ctrl-C: work in progress is given back, and another worker goes on with it.
    A worker that is asked to drain ends its work first (fimq workers names it).

    Example: fimq worker --lanes urgent --slots 1
    """
    settings = load_settings(slots=slots, metrics=metrics)
    if drain is not None:
        if not drain.strip():
            raise UsageError("--drain takes the id of a worker, and got none; see: fimq workers")
        return _drain(settings, drain)
    from fimq_worker.process import WorkerProcess  # noqa: PLC0415 - Celery and OpenVINO are slow

    logs.configure(settings.log_level, settings.log_format)
    return WorkerProcess(settings, lanes=lanes, embedded=embedded).run()


def _drain(settings: Settings, wanted: str) -> int:
    from fimq.ledger import presence  # noqa: PLC0415 - SQLAlchemy is slow
    from fimq.ledger.database import Ledger  # noqa: PLC0415

    ledger = Ledger(settings.ledger)
    try:
        ledger.check_schema()
        worker_id = presence.ask_to_drain(ledger, wanted)
    finally:
        ledger.close()
    seconds = settings.lease_seconds / 3
    click.echo(f"worker {short(worker_id)} was asked; it learns of it within {seconds:.0f} s")
    return 0
