"""`fimq engines`: what is in the engine cache, and engines for an image, built without a GPU."""

from __future__ import annotations

import json

import click

from fimq import logs
from fimq.errors import RuntimeNotInstalled, UsageError
from fimq.settings import load_settings


@click.group("engines")
def engines() -> None:
    """TensorRT's engines: build ahead, list, clear.

    A worker builds what it needs at its first start; nothing here has to be called.

    Example: fimq engines list
    """


@engines.command("build")
@click.option(
    "--for",
    "wanted",
    metavar="SM89,SM120",
    help="Compute capabilities of the cards, with commas. Required.",
)
@click.option("--model", help="The model; FIMQ_MODEL's if left out.")
def build(*, wanted: str | None, model: str | None) -> None:
    """Build a model's tensorrt-rtx engines for cards that need not be here.

    For images: needs no GPU. Engines of `tensorrt` are built on their card, by its worker.

    Example: fimq engines build --for SM89
    """
    capabilities = [name.strip().upper() for name in (wanted or "").split(",") if name.strip()]
    if not capabilities:
        raise UsageError("--for is missing: which cards? As in: fimq engines build --for SM89")
    from fimq.models.registry import open_registry  # noqa: PLC0415 - NumPy is slow
    from fimq_worker.runtimes.base import NoSuchPrecision  # noqa: PLC0415
    from fimq_worker.runtimes.tensorrt.flavour import TENSORRT_RTX  # noqa: PLC0415

    settings = load_settings(model=model)
    logs.configure("warning", settings.log_format)
    with open_registry(settings) as registry:
        package = registry.open(registry.find(settings.tenant, settings.model))
    try:
        trt = TENSORRT_RTX.load()
    except RuntimeNotInstalled as error:
        raise RuntimeNotInstalled("tensorrt-rtx is not installed") from error
    known = TENSORRT_RTX.capabilities(trt)
    if strange := sorted(set(capabilities) - set(known)):
        raise UsageError(f"tensorrt-rtx does not know {', '.join(strange)}; {', '.join(known)}")
    from fimq_worker.runtimes.tensorrt.runtime import EngineSource  # noqa: PLC0415 - needs onnx

    source = EngineSource(TENSORRT_RTX, trt, settings.engines)
    for capability in capabilities:
        key = source.key(package, capability, "f16")
        try:
            engine = source.get(package, key)
        except NoSuchPrecision as error:
            click.echo(f"{capability}: {error.message}", err=True)
            key = source.key(package, capability, "f32")
            engine = source.get(package, key)
        click.echo(f"{capability}  {key.precision}  {len(engine)} bytes  {key.file_name}")


@engines.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, as_json: bool) -> None:
    """List the engines that are kept, and what each is for.

    Example: fimq engines list
    """
    from fimq_worker.runtimes.tensorrt.cache import EngineCache  # noqa: PLC0415 - NumPy is slow

    folder = load_settings().engines
    found = list(EngineCache(folder).kept())
    for kept in found:
        if as_json:
            click.echo(json.dumps({"file": kept.file.name, "bytes": kept.bytes, **kept.key}))
            continue
        key = kept.key
        click.echo(
            f"{key['runtime']} {key['version']}  {key['gpu']}  {key['precision']}  "
            f"model {key['model_sha256'][:12]}  {kept.bytes} bytes"
        )
    if found and not as_json:
        click.echo(f"in {folder}", err=True)
    elif not as_json:
        example = "fimq engines build --for SM89"
        click.echo(f"no engines in {folder}; build one with: {example}", err=True)


@engines.command("clear")
def clear() -> None:
    """Remove every engine; workers build again what they need.

    Example: fimq engines clear
    """
    from fimq_worker.runtimes.tensorrt.cache import EngineCache  # noqa: PLC0415 - NumPy is slow

    count = EngineCache(load_settings().engines).clear()
    click.echo(f"{count} removed")
