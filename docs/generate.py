"""Writes docs/reference and the schemas of `--json` lines from the program itself.

Run it by `make docs`; a test fails when the files are not what it would write.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from pydantic import TypeAdapter

import fimq
import fimq_api
import fimq_worker
from fimq.errors import FimqError
from fimq.ledger.models import Promoted
from fimq.ledger.presence import Presence
from fimq.ledger.reading import Listed
from fimq.ledger.stats import Stats
from fimq.models.listing import ListedModel
from fimq.models.manifest import Manifest
from fimq.policy.rules import Policy
from fimq.settings import PREFIX, Settings
from fimq_api.cli.main import COMMANDS, cli
from fimq_api.cli.options import Command
from fimq_api.doctor import Finding
from fimq_training.evaluation.video_findings import VideoReport

REFERENCE = Path(__file__).parent / "reference"
SCHEMAS = Path(fimq.__file__).parent / "schemas"
#: What `--json` prints a line of, beside the job document whose schema is written by hand.
_LINES: dict[str, tuple[str, Any]] = {
    "listed": ("`fimq list --json`", Listed),
    "finding": ("`fimq doctor --json`, in a list", Finding),
    "worker": ("`fimq workers --json`", Presence),
    "stats": ("`fimq stats --json`", Stats),
    "policy": ("`fimq policies list --json`", Policy),
    "model": ("`fimq models list --json` and `fimq models import --json`", ListedModel),
    "promotion": ("`fimq models promote`, `rollback` and `history`, with `--json`", Promoted),
    "manifest": ("`fimq models show --json`", Manifest),
    "evaluation": ("`fimq evaluate --json`", VideoReport),
}
_PRECEDENCE = """\
Precedence: command line, then the variable, then a file of `FIMQ_SECRETS_DIR` (named as the
variable, in lower case), then `fimq.toml` (the same names in lower case without `FIMQ_`), then
the default. `fimq config` shows each value and where it came from.
`fimq.toml` is the file that `FIMQ_CONFIG` names, else the one in the current folder, else
the one in the user's config folder.
"""
_NOTE = "<!-- Written by docs/generate.py (make docs). -->\n"


def pages() -> dict[str, str]:
    """Each page's name and text."""
    return {"cli.md": _commands(), "settings.md": _settings(), "errors.md": _errors()}


def schemas() -> dict[str, str]:
    """Each schema's file name and text."""
    texts = {}
    for name, (title, kind) in _LINES.items():
        schema = TypeAdapter(kind).json_schema() | {"description": f"A line of {title}."}
        texts[f"{name}.json"] = json.dumps(schema, indent=2) + "\n"
    return texts


def _commands() -> str:
    lines = [_NOTE, "# Commands\n"]
    schema = "[schema](../../core/fimq/schemas/job.json)"
    lines.append("Results go to stdout, progress and logs to stderr.")
    lines.append(f"`--json` prints one document a job ({schema}); `list`, `doctor`, `policies` and")
    lines.append("`models` have lines of their own, and so has a file that was refused")
    lines.append("([all schemas](../../core/fimq/schemas)). Faces are counted from 0 there.\n")
    lines.append("| exit | meaning |\n| --- | --- |")
    lines.extend(
        f"| {status} | {meaning} |"
        for status, meaning in (
            (0, "ok"),
            (1, "unexpected"),
            (2, "usage, or an input was refused"),
            (3, "finished with failures"),
            (4, "`--wait` timed out"),
            (5, "a service is missing"),
            (10, "`manipulated`, with `--exit-verdict`"),
        )
    )
    context = click.Context(cli, info_name="fimq", auto_envvar_prefix="FIMQ")
    for name, command in _walk(context):
        lines.append(f"\n## `fimq {name}`\n")
        prefix = f"FIMQ_{name.upper().replace(' ', '_')}"
        if isinstance(command, Command):
            command.name_variables(prefix)
        below = click.Context(
            command, info_name=f"fimq {name}", auto_envvar_prefix=prefix, terminal_width=80
        )
        lines.append("```\n" + command.get_help(below).strip() + "\n```")
    return "\n".join(lines) + "\n"


def _walk(context: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is None:
            continue
        yield name, command
        if isinstance(command, click.Group):
            for below, sub in command.commands.items():
                yield f"{name} {below}", sub


def _settings() -> str:
    lines = [
        _NOTE,
        "# Settings\n",
        _PRECEDENCE,
        "| variable | default | meaning |\n| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        default = "see meaning" if field.default_factory or field.default is None else field.default
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def _errors() -> str:
    for package in (fimq, fimq_api, fimq_worker):
        _import_all(package)
    lines = [
        _NOTE,
        "# Errors\n",
        "The code is the same in the terminal, in JSON and in the ledger, and never changes.\n",
        "| code | exit | message | what to do |\n| --- | --- | --- | --- |",
    ]
    for code, cls in sorted(FimqError.registry.items()):
        hint = cls.hint.replace("|", "\\|")
        lines.append(f"| `{code}` | {cls.exit_status} | {cls.default_message()} | {hint} |")
    return "\n".join(lines) + "\n"


def _import_all(package: ModuleType) -> None:
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for page, text in pages().items():
        (REFERENCE / page).write_text(text, encoding="utf-8")
    for name, text in schemas().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")
