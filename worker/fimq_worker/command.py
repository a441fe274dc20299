"""`fimq worker`."""

from __future__ import annotations

import click

from fimq import logs
from fimq.settings import LANES, load_settings


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
@click.option("--embedded", is_flag=True, hidden=True, help="Stop when idle, with the queue.")
def worker(*, lanes: tuple[str, ...], slots: int | None, embedded: bool) -> int:
    """Run a worker in this terminal.

    SIGTERM or Ctrl-C: work in progress is given back, and another worker goes on with it.

    Example: fimq worker --lanes urgent --slots 1
    """
    from fimq_worker.process import WorkerProcess  # noqa: PLC0415 - Celery and OpenVINO are slow

    settings = load_settings(slots=slots)
    logs.configure(settings.log_level, settings.log_format)
    return WorkerProcess(settings, lanes=lanes, embedded=embedded).run()
