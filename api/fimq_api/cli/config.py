"""`fimq config`."""

from __future__ import annotations

import json

import click
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from fimq.logs import redact
from fimq.settings import PREFIX, Settings, load_settings, origin, toml_path
from fimq_api.cli.options import Command, json_option


@click.command("config", cls=Command)
@json_option
def config(*, as_json: bool) -> None:
    """Show every setting and where it came from.

    Precedence: command line, FIMQ_... variables, fimq.toml, default. Secrets are masked.

    Example: fimq config
    """
    settings = load_settings()
    rows = [
        (name, _shown(getattr(settings, name)), origin(name), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        click.echo(
            json.dumps({name: {"value": value, "origin": at} for name, value, at, _ in rows})
        )
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("setting", "value", "from", "what it is"):
        table.add_column(title, overflow="fold")
    for name, value, at, about in rows:
        table.add_row(PREFIX + name.upper(), value, at, about)
    Console(highlight=False).print(table)
    click.echo(f"settings file: {toml_path() or 'none'}", err=True)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return redact(value.get_secret_value())
    return "" if value is None else str(value)
