"""`fimq config`."""

from __future__ import annotations

import json
import os

import click
from pydantic import SecretStr

from fimq.logs import redact
from fimq.settings import PREFIX, Settings, load_settings, origin, strange_variables, toml_path
from fimq_api.cli.options import Command, json_option


@click.command("config", cls=Command)
@json_option
def config(*, as_json: bool) -> None:
    """Show every setting and where it came from.

    Precedence: command line, FIMQ_... variables, FIMQ_SECRETS_DIR, fimq.toml, default. Secrets
    are masked.

    Example: fimq config
    """
    from fimq_api.cli.main import COMMANDS  # noqa: PLC0415 - it imports this file

    settings = load_settings()
    for name, meant in strange_variables(COMMANDS).items():
        hint = f"; did you mean {meant}?" if meant else ""
        click.echo(f"note: {name} sets nothing{hint}", err=True)
    rows = [
        (name, _shown(getattr(settings, name)), origin(name), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        click.echo(
            json.dumps({name: {"value": value, "origin": at} for name, value, at, _ in rows})
        )
        return
    for name, value, at, about in rows:
        click.echo(f"{PREFIX + name.upper():<32} {value or 'unset'}  ({at})")
        click.echo(f"{'':<32} {about}")
    click.echo(f"settings file: {toml_path() or 'none'}", err=True)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return redact(value.get_secret_value())
    if isinstance(value, tuple):
        return os.pathsep.join(map(str, value))
    return "" if value is None else redact(str(value))
