"""`fimq train recipes`."""

from __future__ import annotations

import json

import click


@click.command("recipes")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recipes(name: str | None, *, as_json: bool) -> None:
    """List the recipes; with a name, print its file, to read or to copy.

    Example: fimq train recipes paper-efficientnetb0-binary
    """
    from fimq_training.recipes.recipe import Recipe, find, of_the_house

    if name is not None:
        path = find(name)
        recipe = Recipe.read(path)
        click.echo(
            json.dumps(recipe.model_dump(mode="json"))
            if as_json
            else path.read_text(encoding="utf-8").rstrip()
        )
        return
    for recipe in of_the_house():
        if as_json:
            click.echo(json.dumps(recipe.model_dump(mode="json")))
        else:
            click.echo(f"{recipe.name:<30} {recipe.title}")
    if not as_json:
        click.echo("Read one: fimq train recipes NAME", err=True)
