"""Extras that a module of tests needs: skipped without, a failure in CI, which installs them."""

import importlib
import os
from typing import Any

import pytest


def need(module: str, extra: str) -> Any:
    """Import `module`, or skip the tests of the caller and say which extra brings it."""
    if os.environ.get("CI"):
        return importlib.import_module(module)
    return pytest.importorskip(module, reason=f"the extra `{extra}` is not installed")
