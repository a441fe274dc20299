"""`fimq models`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from fimq.errors import ModelMissing
from fimq.models import face_models, registry
from fimq.settings import load_settings
from fimq_api.cli.options import Command, json_option


@click.group("models")
def models() -> None:
    """Models: list, show, verify, fetch face models.

    Example: fimq models list
    """


@models.command("fetch", cls=Command)
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A mediapipe 0.10.21 wheel or a .tflite file, for closed networks.",
)
@click.option("--force", is_flag=True, help="Fetch again what is there already.")
@click.option("--quiet", is_flag=True, help="Say nothing when all is well.")
def fetch(*, source: Path | None, force: bool, quiet: bool) -> None:
    """Fetch the face models, and verify them.

    Takes MediaPipe's face models (Apache-2.0) out of the mediapipe 0.10.21 wheel, through
    pip. With verified files in place it needs no network.

    Example: fimq models fetch
    """
    folder = load_settings().face_models
    face_models.fetch(folder, source, force=force)
    if not quiet:
        for model in face_models.FACE_MODELS:
            click.echo(f"{model.file_name}  {model.size} bytes  verified")
        click.echo(f"in {folder}", err=True)


@models.command("list", cls=Command)
@json_option
def list_(*, as_json: bool) -> None:
    """List the models that can judge.

    Example: fimq models list
    """
    settings = load_settings()
    for name, manifest in registry.installed(settings.installed_models):
        if as_json:
            click.echo(json.dumps({"installed_as": name, **manifest.model_dump(mode="json")}))
            continue
        mark = "*" if name == settings.model else " "
        kind = "  experimental" if manifest.experimental else ""
        click.echo(
            f"{mark} {name:<16} {manifest.name} {manifest.version}  "
            f"sha256 {manifest.sha256[:12]}{kind}"
        )


@models.command("show", cls=Command)
@click.argument("name", default="default")
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show a model's manifest.

    Example: fimq models show default
    """
    manifest = _package(name).manifest
    document: dict[str, Any] = manifest.model_dump(mode="json")
    if as_json:
        click.echo(json.dumps(document))
        return
    for key, value in document.items():
        click.echo(f"{key:<14} {json.dumps(value) if isinstance(value, dict | list) else value}")


@models.command("card", cls=Command)
@click.argument("name", default="default")
def card(name: str) -> None:
    """Print a model's card: what its score means, what it was made of, its limits.

    Example: fimq models card
    """
    click.echo(registry.card(_package(name)))


@models.command("verify", cls=Command)
@click.argument("name", default="default")
def verify(name: str) -> None:
    """Verify a model's files against its manifest.

    `fimq doctor` runs its golden crops through every runtime, too.

    Example: fimq models verify default
    """
    package = _package(name)
    click.echo(f"{package.manifest.name} {package.manifest.version}: files are the manifest's")


def _package(name: str) -> Any:
    settings = load_settings()
    package = registry.find(name, settings.installed_models)
    if package is None:
        raise ModelMissing(f"there is no model {name!r} here")
    return package
