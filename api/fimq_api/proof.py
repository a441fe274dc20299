"""The proof of a model, asked of the worker's part: in a process that knows no secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any, Final

from fimq.errors import FimqError, ModelInvalid

_PROOF_S: Final = 300
#: What the program itself needs of the environment, by prefix.
_NEEDED: Final = ("PATH", "PYTHON", "LD_", "LANG", "LC_", "TMPDIR", "HOME", "OMP_", "VIRTUAL_ENV")


def prove(archive: bytes) -> dict[str, Any]:
    """Load the package of this archive on the CPU, and score its golden crops.

    Raises:
        ModelMissing, ModelInvalid: what is wrong with it.
        RuntimeNotInstalled: there is no runtime here.
    """
    with tempfile.TemporaryDirectory(prefix="fimq-proof-") as folder:
        try:
            ran = subprocess.run(
                [sys.executable, "-m", "fimq_worker.proof"],
                input=archive,
                check=False,
                capture_output=True,
                timeout=_PROOF_S,
                cwd=folder,
                env={name: value for name, value in os.environ.items() if name.startswith(_NEEDED)},
            )
        except subprocess.TimeoutExpired as error:
            raise ModelInvalid(f"The model's proof has no end after {_PROOF_S} s") from error
    if ran.returncode != 0:
        raise ModelInvalid(f"The model's proof broke off (status {ran.returncode})")
    answer: dict[str, Any] = json.loads(ran.stdout)
    if wrong := answer.get("error"):
        raise FimqError.registry[wrong["code"]](wrong["message"])
    return answer
