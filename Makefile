# `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Sources of every Python package, for the tools that check them.
CODE := core worker training api migrations tests benchmarks docs

.PHONY: help demo test check format docs build clean bench

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/demo.stamp ## Set everything up and judge two clips made on the spot
	@$(BIN)/fimq models fetch --quiet
	@$(BIN)/fimq demo

test: $(VENV)/dev.stamp ## Set everything up and run all tests
	@$(BIN)/fimq models fetch --quiet
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile $(PYTEST)

check: $(VENV)/dev.stamp ## Lint, format, types, and the arrows between the parts
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/dev.stamp ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

docs: $(VENV)/dev.stamp ## Write docs/reference from the program itself
	@$(BIN)/python docs/generate.py

bench: $(VENV)/dev.stamp ## Measure speed as ratios, in one run
	@for each in benchmarks/bench_*.py; do $(BIN)/python $$each || exit 1; done

build: $(VENV)/dev.stamp ## Build the wheel and the source distribution
	@$(BIN)/python -m build --outdir dist . >/dev/null && ls -l dist

clean: ## Remove the virtual environment and what was built
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "fimq needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "python3-venv is missing; on Debian: apt install python3-venv"; exit 1; }

$(VENV)/demo.stamp: $(VENV)/bin/python pyproject.toml
	@echo "Setting up $(VENV) (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/bin/python pyproject.toml
	@echo "Setting up $(VENV) with the tools for development (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@# Without its opencv-contrib-python, which would overwrite the headless one.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps mediapipe==0.10.33
	@touch $@ $(VENV)/demo.stamp
