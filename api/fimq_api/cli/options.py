"""Options and types that several commands share."""

from __future__ import annotations

from typing import Any

import click


class Command(click.Command):
    """A command whose options name the variables that set them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Show variable and default of every option."""
        super().__init__(*args, **kwargs)
        for option in self.params:
            if isinstance(option, click.Option):
                option.show_envvar = True
                option.show_default = option.show_default or option.default not in (None, False, ())

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Name the variables by the command's place, then parse."""
        above = parent.auto_envvar_prefix if parent else None
        self.name_variables(f"{above or 'FIMQ'}_{(self.name or '').upper()}")
        return super().make_context(info_name, args, parent, **extra)

    def name_variables(self, prefix: str) -> None:
        """Let each option be set by `PREFIX_OPTION`, as its user writes it, not its parameter."""
        for option in self.params:
            if isinstance(option, click.Option):
                longest = max(option.opts, key=len)
                option.envvar = f"{prefix}{longest.removeprefix('-')}".replace("-", "_").upper()


class Tag(click.ParamType[tuple[str, str]]):
    """`key=value`."""

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Split at the first equals sign."""
        if isinstance(value, tuple):
            return value
        key, equals, rest = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        return key, rest


def as_json_line(row: Any) -> str:
    """A dataclass as one line of `--json`."""
    # Pydantic is slow to import; help needs none of it.
    from pydantic import TypeAdapter  # noqa: PLC0415 - slow, and few options need it

    return TypeAdapter(type(row)).dump_json(row).decode()


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
timeout_option = click.option(
    "--timeout", type=click.FloatRange(min=0), help="Wait so many seconds at most."
)
