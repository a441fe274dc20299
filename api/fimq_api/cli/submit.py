"""`fimq submit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from fimq.document import error_document, job_document
from fimq.errors import DeletedMeanwhile, FimqError, ModelError, ServiceError, UsageError
from fimq.intake import shown, take_in
from fimq.ledger import reading
from fimq.ledger.submission import Request, Submitted
from fimq.ledger.submission import submit as submit_content
from fimq.models import face_models
from fimq.policy.rules import find_policy
from fimq.settings import JUDGING_LANES
from fimq_api.cli import words
from fimq_api.cli.house import House, open_house
from fimq_api.cli.main import print_error
from fimq_api.cli.options import Command, Tag, json_option, timeout_option
from fimq_api.cli.verdicts import print_verdicts
from fimq_api.cli.waiting import WaitTimedOut, let_go, wait


@click.command("submit", cls=Command)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--wait", "waits", is_flag=True, help="Wait, and print the verdicts.")
@json_option
@click.option(
    "--lane", type=click.Choice(JUDGING_LANES), default="standard", help="urgent goes first."
)
@click.option("--every", type=click.IntRange(min=1), help="Sample every Nth frame.")
@click.option("--fps", type=click.FloatRange(min=0, min_open=True), help="Samples a second.")
@click.option("--keyframes", is_flag=True, help="Sample the key frames.")
@click.option("--model", help="Model that judges.")
@click.option("--policy", help="Policy that turns scores into a verdict.")
@click.option("--external-id", help="Your own name for it; comes back with the verdict.")
@click.option("--tag", "tags", type=Tag(), multiple=True, help="Kept with the job.")
@click.option("--in-place", is_flag=True, help="Do not copy the file into the store.")
@click.option("--rescan", is_flag=True, help="Judge again, though the verdict is known.")
@click.option("--idempotency-key", help="The same key gives the same job. One file only.")
@timeout_option
@click.option("--exit-verdict", is_flag=True, help="With --wait: exit 10 for `manipulated`.")
def submit(**given: Any) -> int:
    """Judge videos: submit them, and wait if asked.

    Prints one line a job, its id and its name; with --wait a progress bar a video, then the
    verdicts. A file that is refused does not stop the others. For scripts: --json.

    Example: fimq submit interview.mp4 --wait
    """
    files: tuple[Path, ...] = given["files"]
    if given["idempotency_key"] and len(files) > 1:
        raise UsageError("--idempotency-key names one request: give one file with it")
    if given["exit_verdict"] and not given["waits"]:
        raise UsageError("--exit-verdict needs --wait: without it there may be no verdict yet")
    if sum(map(bool, (given["every"], given["fps"], given["keyframes"]))) > 1:
        raise UsageError("give one of --every, --fps and --keyframes")
    with open_house(every=given["every"], model=given["model"], policy=given["policy"]) as house:
        return _Submission(house, given).run(files)


class _Submission:
    """One call of the command: what was given, and what came of it."""

    def __init__(self, house: House, given: dict[str, Any]) -> None:
        self.house = house
        self.given = given
        self.refused: list[tuple[str, FimqError]] = []
        self.accepted: list[tuple[str, Submitted]] = []

    def run(self, files: tuple[Path, ...]) -> int:
        if self.house.settings.embedded_queue:
            # The worker will be on this machine: what it lacks is better said now.
            face_models.verify(self.house.settings.face_models)
            settings = self.house.settings
            self.house.registry().find(settings.tenant, settings.model)
        self.house.store.find()
        request = self._request()
        for path in files:
            try:
                self.accepted.append((shown(path.name), self._take(path, request)))
            except FimqError as error:
                self.refused.append((shown(path.name), error))
                if not self.given["as_json"]:
                    print_error(error)
        status = max((error.exit_status for _, error in self.refused), default=0)
        try:
            steps = [(job.step_id, request.lane) for _, job in self.accepted if job.step_id]
            if steps:
                self.house.ring(steps)
        except ServiceError as error:
            self._print()
            print_error(error)
            return error.exit_status
        if self.given["waits"]:
            return self._wait() or status
        self._print()
        return status

    def _request(self) -> Request:
        settings, given = self.house.settings, self.given
        policy = find_policy(settings.policy)
        sampling = f"every:{settings.every}"
        if given["fps"]:
            sampling = f"fps:{given['fps']:g}"
        elif given["keyframes"]:
            sampling = "keyframes"
        return Request(
            lane=given["lane"],
            model=settings.model,
            package_sha256=installed_package(self.house),
            policy=policy.name,
            policy_version=policy.version,
            sampling=sampling,
            min_samples=settings.min_samples,
            external_id=given["external_id"],
            tags=dict(given["tags"]),
            rescan=given["rescan"],
        )

    def _take(self, path: Path, request: Request) -> Submitted:
        settings = self.house.settings
        for last in (False, False, True):
            content = take_in(
                path,
                self.house.store,
                limit=settings.max_bytes,
                in_place=self.given["in_place"],
                shared=None if settings.embedded_queue else settings.shared_paths,
            )
            try:
                return submit_content(
                    self.house.ledger,
                    content,
                    request,
                    tenant=settings.tenant,
                    idempotency_key=self.given["idempotency_key"],
                    kept=self.house.store.has,
                )
            except DeletedMeanwhile:
                # The file is at hand: it goes in again.
                if last:
                    raise
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _wait(self) -> int:
        status = 0
        try:
            wait(
                self.house,
                [(job.job_id, name) for name, job in self.accepted],
                self.given["timeout"],
            )
        except WaitTimedOut as error:
            print_error(error)
            status = error.exit_status
        except KeyboardInterrupt:
            return let_go([job.job_id for _, job in self.accepted])
        documents = self._documents()
        if self.given["as_json"]:
            self._print_json(documents)
        else:
            print_verdicts(documents)
        if status:
            return status
        if any(document["state"] == "failed" for document in documents):
            return 3
        if self.given["exit_verdict"] and any(
            document["outcome"] == "manipulated" for document in documents
        ):
            return 10
        return 0

    def _print(self) -> None:
        documents = self._documents()
        if self.given["as_json"]:
            self._print_json(documents)
            return
        for document in documents:
            click.echo(f"{words.tag(document)}  {document['name']}")
        known = [document for document in documents if document["state"] == "done"]
        if known:
            print_verdicts(known)
        if len(known) < len(documents):
            ids = " ".join(
                words.tag(document) for document in documents if document["state"] != "done"
            )
            click.echo(f"Follow it with: fimq watch {ids}", err=True)
            if missing := self.house.nobody_works():
                click.echo(missing, err=True)

    def _print_json(self, documents: list[dict[str, Any]]) -> None:
        for document in documents:
            click.echo(json.dumps(document))
        for name, error in self.refused:
            click.echo(json.dumps(error_document(error, name)))

    def _documents(self) -> list[dict[str, Any]]:
        with self.house.ledger.read() as session:
            return [job_document(reading.record(session, job.job_id)) for _, job in self.accepted]


def installed_package(house: House) -> str | None:
    """The hash of what would judge now if nothing was promoted, or None where that is not here.

    The worker verifies the bytes before it loads them.
    """
    from fimq.models.registry import Registry  # noqa: PLC0415 - NumPy is slow

    settings = house.settings
    try:
        here = Registry(None, house.store, settings.installed_models)
        return here.find(settings.tenant, settings.model).package_sha256
    except ModelError:
        return None
