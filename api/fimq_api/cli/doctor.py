"""`fimq doctor`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
from rich.console import Console
from rich.text import Text

from fimq.settings import load_settings
from fimq_api.cli.options import Command, json_option

_MARKS = {"ok": ("✓", "green"), "note": ("·", "yellow"), "bad": ("✗", "bold red")}


@click.command("doctor", cls=Command)
@json_option
def doctor(*, as_json: bool) -> int:
    """Check everything, and say what to do about it.

    Dependencies, ledger, queue, store, models, runtimes, the decode child's sandbox, limits.
    Exits with 5 when something that fimq needs is missing.

    Example: fimq doctor
    """
    # Imports every heavy dependency: that is what it checks.
    from fimq_api.cli.main import COMMANDS  # noqa: PLC0415 - it imports this file
    from fimq_api.doctor import examine  # noqa: PLC0415

    findings = list(examine(load_settings(), COMMANDS))
    bad = any(finding.state == "bad" for finding in findings)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
        return 5 if bad else 0
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    for finding in findings:
        mark, style = _MARKS[finding.state]
        line = Text(f"{mark} ", style=style)
        line.append(f"{finding.what:<27}", style="default")
        line.append(finding.says, style="default")
        console.print(line)
        if finding.hint:
            console.print(Text(f"{'':<29}-> {finding.hint}"))
    click.echo(
        "Something is missing; see the lines marked ✗." if bad else "All is well.", sys.stderr
    )
    return 5 if bad else 0
