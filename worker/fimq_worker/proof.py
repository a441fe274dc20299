"""The proof of a model that comes from outside: load it here, and score its golden crops.

Run as `python -m fimq_worker.proof`, with the archive of a package on its standard input, by
who imports or promotes it: in a process of its own without credentials, for a network that
is made to break its runtime must not break more. Prints one JSON document: what was measured,
or what is wrong.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fimq import logs
from fimq.errors import FimqError, ModelInvalid, RuntimeMissing, RuntimeNotInstalled
from fimq.models.files import MOST_ARCHIVE, PackageFiles
from fimq.models.network_file import check_whole
from fimq.models.package import ModelPackage
from fimq_worker.runtimes.choose import AUTO, RUNTIMES, Ways, choose

#: Any machine has one of these; what a card computes is proved by its worker.
_ON_CPUS: Final[Mapping[str, Ways]] = {name: RUNTIMES[name] for name in ("openvino", "onnxruntime")}


def prove(archive: bytes) -> dict[str, Any]:
    """What a runtime on this machine's CPU says of a package.

    Raises:
        ModelMissing, ModelInvalid: it is no sound package, or its scores are not the golden ones.
        RuntimeNotInstalled: there is no such runtime.
    """
    files = PackageFiles.from_archive(io.BytesIO(archive), "the archive")
    check_whole(files.network)
    package = ModelPackage.of(files)
    with tempfile.TemporaryDirectory(prefix="fimq-proof-") as engines:
        try:
            chosen = choose(package, Path(engines), AUTO, _ON_CPUS)
        except RuntimeNotInstalled:
            raise
        except RuntimeMissing as error:
            raise ModelInvalid(error.message) from error
    return {
        "model": package.manifest.label,
        "runtime": chosen.runtime_facts(),
        "difference": chosen.parity.difference,
    }


if __name__ == "__main__":
    logs.configure("error")
    try:
        answer = prove(sys.stdin.buffer.read(MOST_ARCHIVE + 1))
    except FimqError as error:
        answer = {"error": {"code": error.code, "message": error.message}}
    sys.stdout.write(json.dumps(answer))
