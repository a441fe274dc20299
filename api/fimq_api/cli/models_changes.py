"""`fimq models import`, `promote`, `rollback`: no worker has to be started again for them."""

from __future__ import annotations

import getpass
import os
import platform
from pathlib import Path

import click

from fimq.errors import NotReadable
from fimq.ledger.models import Promoted
from fimq.models.changes import Changes
from fimq.models.files import PackageFiles
from fimq.models.listing import listing
from fimq_api.cli.house import House, open_house
from fimq_api.cli.options import Command, as_json_line, json_option
from fimq_api.proof import prove

_alias = click.option("--as", "alias", default="default", help="The name that jobs use.")


@click.command("import", cls=Command)
@click.argument("package", type=click.Path(exists=True, path_type=Path))
@json_option
def import_(package: Path, *, as_json: bool) -> None:
    """Import a model: a folder, or a zip archive, with its four files.

    Every hash is checked, the network must hold all of itself and give its golden crops their
    scores on this machine's CPU. Then its bytes go into the store, where every worker finds
    them. A version is never changed; importing it again mends its bytes in the store. It judges
    when it is promoted, or named: --model NAME@VERSION.

    Example: fimq models import fimq-b1
    """
    files = _read(package)
    with open_house() as house:
        model, entered = _changes(house).add(files, prove)
        settings = house.settings
        if as_json:
            known = listing(house.ledger, settings.tenant, settings.installed_models)
            listed = next(
                listed
                for listed, found in known.found
                if found.package_sha256 == model.package_sha256 and listed.place == "imported"
            )
            click.echo(as_json_line(listed))
            return
    label = f"{model.name}@{model.version}"
    click.echo(f"{label}  sha256 {model.package_sha256}")
    if entered:
        click.echo(f"Let it judge: fimq models promote {label}", err=True)
    else:
        click.echo("It was imported before.", err=True)


@click.command("promote", cls=Command)
@click.argument("name")
@_alias
@json_option
def promote(name: str, alias: str, *, as_json: bool) -> None:
    """Let an imported model judge from now on: the jobs that are planned after this.

    It is verified and put to the proof once more. A job that is in work keeps the model that it
    was planned with; nothing fails, and no worker is started again.

    Example: fimq models promote fimq-b1@1.0.0
    """
    with open_house() as house:
        now_on, changed = _changes(house).promote(name, alias, prove)
    _say(now_on, as_json=as_json)
    if not changed and not as_json:
        click.echo("It did already.", err=True)


@click.command("rollback", cls=Command)
@_alias
@json_option
def rollback(alias: str, *, as_json: bool) -> None:
    """Let the model judge again that was promoted before; once more goes one further back.

    Back beyond the first promotion judges what is installed, as the model inside the wheel.

    Example: fimq models rollback
    """
    with open_house() as house:
        now_on = _changes(house).roll_back(alias)
    _say(now_on, as_json=as_json)


def _say(now_on: Promoted, *, as_json: bool) -> None:
    if as_json:
        click.echo(as_json_line(now_on))
        return
    before = now_on.before or "what is installed"
    click.echo(f"{now_on.alias}: {now_on.model or 'what is installed'}  (before: {before})")


def _read(package: Path) -> PackageFiles:
    if package.is_dir():
        return PackageFiles.from_folder(package)
    try:
        with package.open("rb") as source:
            return PackageFiles.from_archive(source, str(package))
    except OSError as error:
        raise NotReadable(f"{package.name} may not be read") from error


def _changes(house: House) -> Changes:
    registry = house.registry(cached=False)
    return Changes(house.ledger, registry.store, registry, tenant=house.settings.tenant, by=_who())


def _who() -> str:
    """For the history: who, and where."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        # A container's user may have no name.
        user = str(os.getuid())
    return f"{user}@{platform.node()}"
