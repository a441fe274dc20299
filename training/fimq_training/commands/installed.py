"""Whether training is installed, and quiet: asked by every command before it works."""

from __future__ import annotations

import importlib.util

from fimq.errors import TrainingNotInstalled
from fimq_training.quiet import import_tensorflow


def require() -> None:
    """Let a command of training begin.

    Raises:
        TrainingNotInstalled: the extra is missing; its first missing module is named.
    """
    for module in ("tensorflow", "pyarrow", "matplotlib"):
        if importlib.util.find_spec(module) is None:
            raise TrainingNotInstalled(f"{module} is not installed")


def tensorflow() -> None:
    """As `require`, and import TensorFlow without what it says of the machine.

    Raises:
        TrainingNotInstalled: the extra is missing.
    """
    require()
    import_tensorflow()
