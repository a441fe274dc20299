"""A worker whose model is loaded no sooner than a file is there, as an engine takes minutes.

`LOAD_AFTER` names the file; the call that waits for it is one that no signal ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from fimq.models.package import ModelPackage
from fimq_worker import classifier
from fimq_worker.command import worker
from fimq_worker.runtimes import choose as choosing
from installation import until


def main() -> None:
    def choose(package: ModelPackage, engines: Path, wanted: str) -> Any:
        until(Path(os.environ["LOAD_AFTER"]).exists, "the file")
        return choosing.choose(package, engines, wanted)

    # In this process alone; without a GPU there is no engine that takes minutes to build.
    classifier.choose = choose  # type: ignore[assignment] # the stand-in takes no runtimes
    sys.exit(worker.main(prog_name="fimq worker", standalone_mode=False))


if __name__ == "__main__":
    main()
