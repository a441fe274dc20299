"""`python -m fimq_api`: the same as `fimq`."""

from fimq_api.cli.main import main

if __name__ == "__main__":
    main()
