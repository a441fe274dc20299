"""Whether training is installed, and quiet: asked by every command before it works."""

from __future__ import annotations

import importlib.util
import os

from fimq.errors import TrainingNotInstalled


def require() -> None:
    """Let a command of training begin.

    Raises:
        TrainingNotInstalled: the extra is missing; its first missing module is named.
    """
    for module in ("tensorflow", "pyarrow", "matplotlib"):
        if importlib.util.find_spec(module) is None:
            raise TrainingNotInstalled(f"{module} is not installed")
    # TensorFlow greets with a page of lines that nobody can act on.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
