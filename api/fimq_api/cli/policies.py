"""`fimq policies`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from fimq.policy.rules import POLICIES, find_policy
from fimq_api.cli.options import Command, json_option


@click.group("policies")
def policies() -> None:
    """Policies: what turns scores to verdicts.

    Example: fimq policies show standard
    """


@policies.command("list", cls=Command)
@json_option
def list_(*, as_json: bool) -> None:
    """List the policies.

    Example: fimq policies list
    """
    for policy in POLICIES.values():
        if as_json:
            click.echo(json.dumps(asdict(policy)))
        else:
            click.echo(f"{policy.label}  {policy.about}")


@policies.command("show", cls=Command)
@click.argument("name")
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show a policy's rules.

    Example: fimq policies show standard
    """
    policy = find_policy(name)
    if as_json:
        click.echo(json.dumps(asdict(policy)))
        return
    click.echo(f"{policy.label}\n{policy.about}")
    click.echo(f"  to clear:   {policy.coverage:.0%} of the samples decoded, {policy.faces} faces")
    click.echo(f"  to accuse:  {policy.support} suspect faces in a row, quality {policy.quality}")
    rule = policy.pooling
    click.echo(
        f"  pooling:    trimmed mean of logits ({rule.trim:.0%} cut at each end), "
        f"windows of {rule.window} faces"
    )
