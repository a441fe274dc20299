"""What the tests of the registry share: three versions, and what is done to them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from fimq.ledger.tables import Model
from fimq.models.registry import Registry

ONE, TWO, THREE = (f"tiny-binary@{version}" for version in "123")


def unproved(_: bytes) -> None:
    """Most of these tests are about rows and bytes; `TestProof` is about the proof."""


def means(registry: Registry, name: str = "default", tenant: str = "default") -> str:
    return registry.find(tenant, name).label


def together(calls: list[Callable[[], object]]) -> None:
    """Call all at once; what one raises is raised here."""
    failed: list[BaseException] = []
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def damage(tmp_path: Path, model: Model) -> None:
    path = tmp_path / "store" / model.store_key
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path)
