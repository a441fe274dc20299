"""`python -m fimq_worker`: a worker, as the private stack starts it."""

from __future__ import annotations

import sys

from fimq.errors import FimqError
from fimq_worker.command import worker

if __name__ == "__main__":
    try:
        status = worker.main(prog_name="fimq worker", standalone_mode=False)
    except FimqError as error:
        sys.stderr.write(f"error: {error.message}  [{error.code}]\n")
        if error.hint:
            sys.stderr.write(f"       {error.hint}\n")
        sys.exit(error.exit_status)
    sys.exit(status if isinstance(status, int) else 0)
