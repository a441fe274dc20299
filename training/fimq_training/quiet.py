"""TensorFlow, imported without what it says of the machine."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from typing import Any


def import_tensorflow() -> Any:
    """Import it in silence, and return it.

    It greets with a page of lines that nobody can act on, from C++, before it can be told not
    to: the file descriptor is turned aside.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as aside:
        kept = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            return importlib.import_module("tensorflow")
        finally:
            os.dup2(kept, 2)
            os.close(kept)
