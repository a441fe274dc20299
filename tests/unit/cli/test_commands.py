"""Every command: it has help, an example that is its own, and a place in the docs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fimq_api.cli.main import COMMANDS, cli, main

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference" / "cli.md"


def _commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for below, sub in command.commands.items():
                yield f"{name} {below}", sub


ALL = dict(_commands())


@pytest.mark.parametrize("name", ALL)
def test_it_has_help_an_example_and_docs(name: str) -> None:
    command = ALL[name]
    assert command.help
    assert command.help.splitlines()[0].endswith(".")
    example = re.search(r"Example: fimq (.+)", command.help)
    assert example, f"fimq {name} has no example"
    assert example[1].startswith(name.split(maxsplit=1)[0])
    assert f"`fimq {name}`" in REFERENCE.read_text(encoding="utf-8")
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, f"fimq {name} {option.opts[0]} has no help"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_group_lists_the_first_line_of_its_help(name: str) -> None:
    assert COMMANDS[name][2] == (ALL[name].help or "").splitlines()[0]


def test_no_two_options_of_a_command_share_a_variable() -> None:
    for name, command in ALL.items():
        names = [option.name for option in command.params]
        assert len(names) == len(set(names)), name


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from fimq_api.cli.main import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'cv2', 'av', 'numpy', 'openvino', 'celery', 'kombu', 'sqlalchemy', 'redis',"
        " 'tensorflow', 'alembic', 'pydantic', 'rich'} & set(sys.modules)\n"
        "sys.stderr.write(','.join(sorted(heavy)))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Commands" in ran.stdout
    assert ran.stderr == ""


def test_an_unknown_command_is_a_usage_error() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "from fimq_api.cli.main import main; main(['judge'])"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert "No such command" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_reference_is_what_the_program_says() -> None:
    code = "import generate, json; print(json.dumps([generate.pages(), generate.schemas()]))"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "docs", capture_output=True, text=True, check=True
    )
    pages, schemas = json.loads(ran.stdout)
    for folder, texts in (("docs/reference", pages), ("core/fimq/schemas", schemas)):
        for name, text in texts.items():
            written = (ROOT / folder / name).read_text(encoding="utf-8")
            assert written == text, f"{folder}/{name} is old; run: make docs"


def test_an_option_can_be_set_by_the_variable_that_help_names(monkeypatch, capsys) -> None:
    monkeypatch.setenv("FIMQ_POLICIES_LIST_JSON", "1")
    with pytest.raises(SystemExit):
        main(["policies", "list"])
    assert json.loads(capsys.readouterr().out)["name"] == "standard"
