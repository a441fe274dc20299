"""`fimq models`: what there is. `models_changes` has what changes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from fimq.errors import FimqError, ModelInvalid
from fimq.ledger import models as rows
from fimq.models import face_models
from fimq.models.listing import ListedModel, listing
from fimq.models.manifest import Manifest
from fimq.models.package import ModelPackage
from fimq.models.registry import Found
from fimq.settings import load_settings
from fimq_api.cli.house import open_house
from fimq_api.cli.main import print_error
from fimq_api.cli.models_changes import import_, promote, rollback
from fimq_api.cli.options import Command, as_json_line, json_option

_PLACES = {"imported": "imported", "folder": "folder of this machine", "wheel": "inside the wheel"}


@click.group("models")
def models() -> None:
    """Models: list, show, verify, import, promote, roll back; fetch face models.

    Example: fimq models list
    """


for _change in (import_, promote, rollback):
    models.add_command(_change)


@models.command("list", cls=Command)
@json_option
def list_(*, as_json: bool) -> int:
    """List the models that can judge; each with the names that jobs call it.

    `*` marks the one that judges where the request names none.

    Example: fimq models list
    """
    with open_house() as house:
        settings = house.settings
        found = listing(house.ledger, settings.tenant, settings.installed_models)
    for listed, _ in found.found:
        click.echo(as_json_line(listed) if as_json else _line(listed, settings.model))
    for folder, error in found.broken:
        print_error(error, f"error: {folder.name}")
    return 3 if found.broken else 0


def _line(listed: ListedModel, judges: str) -> str:
    mark = "*" if judges in {listed.model, *listed.names} else " "
    names = f"  as {', '.join(listed.names)}" if listed.names else ""
    kind = ", experimental" if listed.experimental else ""
    return (
        f"{mark} {listed.model:<24} sha256 {listed.package_sha256[:12]}  "
        f"{_PLACES[listed.place]}{kind}{names}"
    )


@models.command("show", cls=Command)
@click.argument("name", default="default")
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show what a model says of itself: its manifest, in words.

    Example: fimq models show default
    """
    with _opened(name) as (found, package):
        if as_json:
            click.echo(package.manifest.model_dump_json())
            return
        click.echo(f"{found.label}{'  (experimental)' if package.manifest.experimental else ''}")
        for what, says in _in_words(package.manifest, package.sha256):
            click.echo(f"  {what:<12}{says}")


def _in_words(manifest: Manifest, package_sha256: str) -> Iterator[tuple[str, str]]:
    yield "package", f"sha256 {package_sha256}"
    yield "network", f"sha256 {manifest.sha256}"
    size = manifest.input.size
    yield "sees", f"crops of {size} x {size} pixels, {manifest.crop.scale:g} x the face's box"
    kinds = (f"{kind.name}{' (manipulated)' * kind.manipulated}" for kind in manifest.classes)
    yield "classes", ", ".join(kinds)
    if manifest.calibration is not None:
        by = manifest.calibration
        yield "calibrated", f"logit / {by.temperature:g} {by.bias:+g}"
    yield "accuses", f"from a score of {manifest.thresholds.high_precision:g}"
    yield "clears", f"below a score of {manifest.thresholds.high_recall:g}"
    yield "sampling", f"{manifest.sampling}, by which its thresholds were set"
    for source in manifest.training_data:
        yield "trained on", f"{source.name} ({source.licence})"
    yield "created", f"{manifest.created:%Y-%m-%d}"


@models.command("card", cls=Command)
@click.argument("name", default="default")
def card(name: str) -> None:
    """Print a model's card: what its score means, what it was made of, its limits.

    Example: fimq models card
    """
    with _opened(name) as (found, package):
        if not package.card.strip():
            raise ModelInvalid(f"{found.label} has no card")
        click.echo(package.card)


@models.command("verify", cls=Command)
@click.argument("name", required=False)
@json_option
def verify(name: str | None, *, as_json: bool) -> int:
    """Read every byte of a model again, or of all, and compare it with its hashes.

    Imported ones are read from the store, past any cache. `fimq doctor` runs the golden crops
    of the one that judges through every runtime, too.

    Example: fimq models verify
    """
    with open_house() as house:
        settings, registry = house.settings, house.registry(cached=False)
        if name is not None:
            wanted, broken = [registry.find(settings.tenant, name)], []
        else:
            known = listing(house.ledger, settings.tenant, settings.installed_models)
            wanted, broken = [found for _, found in known.found], known.broken
        bad = [_bad(folder.name, error, as_json=as_json) for folder, error in broken]
        for found in wanted:
            try:
                registry.open(found)
            except FimqError as error:
                bad.append(_bad(found.label, error, as_json=as_json))
                continue
            if as_json:
                click.echo(json.dumps({"model": found.label, "state": "ok", "error": None}))
            else:
                click.echo(f"{found.label:<24} sha256 {found.package_sha256[:12]}  verified")
    return max(bad, default=0)


def _bad(label: str, error: FimqError, *, as_json: bool) -> int:
    if as_json:
        facts = {"code": error.code, "message": error.message, "hint": error.hint or None}
        click.echo(json.dumps({"model": label, "state": "bad", "error": facts}))
    else:
        print_error(error, f"error: {label}")
    return error.exit_status


@models.command("history", cls=Command)
@click.argument("name", default="default")
@json_option
def history(name: str, *, as_json: bool) -> None:
    """Show what a name meant, the newest first: when, and by whom it was promoted.

    Example: fimq models history
    """
    with open_house() as house, house.ledger.read() as session:
        told = rows.history(session, house.settings.tenant, name)
    for row in told:
        if as_json:
            click.echo(as_json_line(row))
        else:
            click.echo(
                f"{row.promoted_at:%Y-%m-%d %H:%M:%S}  {row.kind:<8}  "
                f"{row.model or 'what is installed'}  by {row.promoted_by}"
            )
    if not told and not as_json:
        click.echo(f"Nothing was ever promoted as {name}.", err=True)


@models.command("fetch", cls=Command)
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A mediapipe 0.10.21 wheel or a .tflite file, for closed networks.",
)
@click.option("--force", is_flag=True, help="Fetch again what is there already.")
@click.option("--quiet", is_flag=True, help="Say nothing when all is well.")
def fetch(*, source: Path | None, force: bool, quiet: bool) -> None:
    """Fetch the face models, and verify them.

    Takes MediaPipe's face models (Apache-2.0) out of the mediapipe 0.10.21 wheel, through
    pip. With verified files in place it needs no network.

    Example: fimq models fetch
    """
    folder = load_settings().face_models
    face_models.fetch(folder, source, force=force)
    if not quiet:
        for model in face_models.FACE_MODELS:
            click.echo(f"{model.file_name}  {model.size} bytes  verified")
        click.echo(f"in {folder}", err=True)


@contextmanager
def _opened(name: str) -> Iterator[tuple[Found, ModelPackage]]:
    with open_house() as house:
        registry = house.registry()
        found = registry.find(house.settings.tenant, name)
        yield found, registry.open(found)
