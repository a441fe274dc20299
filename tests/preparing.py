"""`fimq train prepare` as tests call it: one job at a time unless they say otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from fimq_training.commands.train import train


def call(*arguments: object) -> Result:
    arguments = (*arguments, *(() if "--jobs" in arguments else ("--jobs", 1)))
    return CliRunner().invoke(train, ["prepare", *map(str, arguments)], catch_exceptions=False)


def of_classes(root: Path, out: Path, *more: object) -> Result:
    return call("folder", root, out, "--manipulated", "swapped", *more)


def summary_of(out: Path) -> Any:
    return json.loads((out / "dataset.json").read_text())
