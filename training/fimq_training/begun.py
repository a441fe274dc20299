"""Begun: what a folder was begun with, so that nobody goes on in it with something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fimq_training.disk import room_for


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing, by name, that is not as it was."""

    name: str
    was: Any
    now: Any


def begin(path: Path, facts: Mapping[str, Any]) -> Difference | None:
    """Be the first to write `path`, or be as the first was.

    Args:
        path: a JSON file; its folder is made.
        facts: plain values; all that decides what comes into the folder.

    Returns:
        What differs; None where nothing does.

    Raises:
        DiskFull: there was no room.
    """
    if not path.exists():
        part = path.with_name(f"{path.name}.part")
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(dict(facts), indent=1) + "\n", encoding="utf-8")
            part.rename(path)
    then = json.loads(path.read_text(encoding="utf-8"))
    for name in sorted(then.keys() | facts.keys()):
        if then.get(name) != facts.get(name):
            return Difference(name, then.get(name), facts.get(name))
    return None
