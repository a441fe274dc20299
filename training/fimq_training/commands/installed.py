"""Whether training is installed, and quiet: asked by every command before it works."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile

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


def tensorflow() -> None:
    """As `require`, and import TensorFlow without what it says of the machine.

    It speaks from C++ before it can be told not to, so the file descriptor is turned aside.

    Raises:
        TrainingNotInstalled: the extra is missing.
    """
    require()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as aside:
        kept = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            importlib.import_module("tensorflow")
        finally:
            os.dup2(kept, 2)
            os.close(kept)
