"""`fimq`: the group of commands. A command's module is imported only when it is called.

This is the edge of a command: errors end here as one line with code and hint.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from fimq.errors import FimqError

#: name -> (module, attribute, the first line of its help). A test holds the help lines to
#: the commands' own; they stand here so that `fimq --help` imports nothing else.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "submit": ("fimq_api.cli.submit", "submit", "Judge videos: submit them, and wait if asked."),
    "show": ("fimq_api.cli.show", "show", "Say why: a job's verdict, faces and seconds."),
    "list": ("fimq_api.cli.listing", "list_", "List jobs, newest first."),
    "watch": ("fimq_api.cli.watch", "watch", "Follow jobs until they end."),
    "cancel": ("fimq_api.cli.cancel", "cancel", "Stop a job. Its video stays."),
    "retry": ("fimq_api.cli.retry", "retry", "Judge again what failed or was cancelled."),
    "delete": ("fimq_api.cli.delete", "delete", "Delete a job, and its video if unused."),
    "demo": ("fimq_api.cli.demo", "demo", "See it work, on clips that it makes itself."),
    "stats": (
        "fimq_api.cli.stats",
        "stats",
        "Say how it goes: what waits, what was judged, who works.",
    ),
    "worker": ("fimq_worker.command", "worker", "Run a worker in this terminal."),
    "workers": (
        "fimq_api.cli.workers",
        "workers",
        "Show who works: on what, since when, with which runtime and version.",
    ),
    "up": ("fimq_api.cli.stack", "up", "Start the private queue and worker."),
    "down": ("fimq_api.cli.stack", "down", "Stop the private queue and worker."),
    "models": (
        "fimq_api.cli.models",
        "models",
        "Models: list, show, verify, import, promote, roll back; fetch face models.",
    ),
    "engines": (
        "fimq_worker.engines_command",
        "engines",
        "TensorRT's engines: build ahead, list, clear.",
    ),
    "train": (
        "fimq_training.commands.train",
        "train",
        "Rebuild the models: prepare, split, fit, calibrate, evaluate, export.",
    ),
    "evaluate": (
        "fimq_training.commands.evaluate_videos",
        "evaluate",
        "Measure the whole pipeline on labelled videos.",
    ),
    "policies": ("fimq_api.cli.policies", "policies", "Policies: what turns scores to verdicts."),
    "config": ("fimq_api.cli.config", "config", "Show every setting and where it came from."),
    "db": ("fimq_api.cli.db", "db", "The ledger's schema: upgrade, check."),
    "doctor": ("fimq_api.cli.doctor", "doctor", "Check everything, and say what to do about it."),
}


class Unexpected(FimqError):
    """A command met an error that it does not know."""

    code = "unexpected_error"
    hint = "Please report it, with what this says: fimq --debug ..."


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Names, in the order of COMMANDS: what a new user needs comes first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the signature is click's
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the signature is click's
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"auto_envvar_prefix": "FIMQ", "help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="fimq", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, *, debug: bool) -> None:
    """Tell whether a face in a video was manipulated, where, and how sure that is.

    Example: fimq submit interview.mp4 --wait
    """
    ctx.obj["debug"] = debug


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    given = sys.argv[1:] if arguments is None else arguments
    told = {"debug": False}
    try:
        status: Any = cli.main(given, prog_name="fimq", standalone_mode=False, obj=told)
    except FimqError as error:
        if told["debug"]:
            raise
        print_error(error)
        sys.exit(error.exit_status)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output left; there is nobody to tell.
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if told["debug"]:
            raise
        print_error(Unexpected(f"{type(error).__name__}: {error}"))
        sys.exit(Unexpected.exit_status)
    sys.exit(status if isinstance(status, int) else 0)


def print_error(error: FimqError, prefix: str = "error") -> None:
    """One line: what went wrong, its code, and on the next line what to do."""
    click.echo(f"{prefix}: {error.message}  [{error.code}]", err=True)
    if error.hint:
        click.echo(f"       {error.hint}", err=True)
