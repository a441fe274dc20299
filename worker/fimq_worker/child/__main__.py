"""`python -m fimq_worker.child --channel FD --parent PID`: started by `process`, not by hand."""

from fimq_worker.child.server import main

if __name__ == "__main__":
    main()
