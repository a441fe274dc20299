"""`fimq demo`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from fimq.document import job_document
from fimq.errors import FimqError
from fimq.intake import shown, take_in
from fimq.ledger import reading
from fimq.ledger.submission import Request, submit
from fimq.models import face_models
from fimq.policy.rules import find_policy
from fimq_api.cli import words
from fimq_api.cli.house import House, open_house
from fimq_api.cli.main import print_error
from fimq_api.cli.options import Command
from fimq_api.cli.submit import installed_package
from fimq_api.cli.verdicts import print_table
from fimq_api.cli.waiting import let_go, wait


@click.command("demo", cls=Command)
@click.option(
    "--video",
    "videos",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Judge this instead of the demo's own clips.",
)
def demo(*, videos: tuple[Path, ...]) -> int:
    """See it work, on clips that it makes itself.

    Makes three short clips (a portrait, the same with a manipulated face, a picture without
    a face), sends them through the real queue, and draws a contact sheet of the faces that
    were looked at. Needs no network once the face models are fetched.

    Example: fimq demo
    """
    with open_house() as house:
        folder = house.settings.data_dir / "demo"
        with _step("Face models verified"):
            face_models.verify(house.settings.face_models)
        if not videos:
            # OpenCV and PyAV are needed only to make the clips.
            from fimq_api.demo.clips import make_clips  # noqa: PLC0415

            with _step("Three clips made: portrait, portrait-swapped, rocket"):
                videos = tuple(make_clips(folder / "clips"))
        request = Request(
            model=house.settings.model,
            package_sha256=installed_package(house),
            policy=find_policy(house.settings.policy).name,
            sampling=f"every:{house.settings.every}",
            min_samples=house.settings.min_samples,
            rescan=True,
        )
        jobs, refused = _submit(house, videos, request)
        if not jobs:
            return 2
        try:
            wait(house, [(job_id, name) for job_id, name, _ in jobs])
        except KeyboardInterrupt:
            return let_go([job_id for job_id, _, _ in jobs])
        return _say(house, [job_id for job_id, _, _ in jobs], folder) or (2 if refused else 0)


def _submit(
    house: House, videos: tuple[Path, ...], request: Request
) -> tuple[list[tuple[str, str, str]], int]:
    jobs = []
    refused = 0
    for path in videos:
        try:
            content = take_in(path, house.store, limit=house.settings.max_bytes)
        except FimqError as error:
            print_error(error)
            refused += 1
            continue
        made = submit(house.ledger, content, request, tenant=house.settings.tenant)
        jobs.append((made.job_id, shown(path.name), made.step_id or ""))
    if jobs:
        with _step(
            f"Worker and queue started (private, in {words.home(house.settings.state_dir)})"
        ):
            house.ring([(step_id, request.lane) for _, _, step_id in jobs if step_id])
    return jobs, refused


def _say(house: House, job_ids: list[str], folder: Path) -> int:
    with house.ledger.read() as session:
        documents = [job_document(reading.record(session, job_id)) for job_id in job_ids]
    click.echo()
    print_table(documents)
    click.echo()
    sheet = folder / "contact-sheet.png"
    # Pictures of a video are only ever decoded by the worker's child.
    drawn = subprocess.run(  # noqa: S603 - the command is ours
        [sys.executable, "-m", "fimq_worker.contact_sheet", str(sheet), *job_ids],
        check=False,
        capture_output=True,
        text=True,
    )
    if drawn.returncode == 0:
        click.echo(f"Faces looked at:  {words.home(sheet)}")
    else:
        click.echo(f"The contact sheet could not be drawn: {drawn.stderr.strip()}", err=True)
    click.echo(f"Results:          {words.home(house.settings.data_dir)} (ledger, store)")
    fimq = words.program()
    telling = _most_telling(documents)
    click.echo(f"Next:             {fimq} submit YOUR_VIDEO --wait")
    click.echo(f"                  {fimq} show {telling}     (why this verdict)")
    if any((document["model"] or {}).get("experimental") for document in documents):
        click.echo(f"This model is experimental; what its score means: {fimq} models card")
    return 3 if any(document["state"] == "failed" for document in documents) else 0


def _most_telling(documents: list[dict[str, Any]]) -> str:
    """The name of the video with the highest score: the one whose reasons say most."""
    top = max(documents, key=lambda document: document["score"] or 0)
    return str(top["name"]).removesuffix(".mp4")


@contextmanager
def _step(text: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    click.echo(f"  ✓ {text:<64} {time.monotonic() - started:4.0f} s")
