# The few commands there are. A newcomer needs two: make demo, make test.

PYTHON ?= python3.11
ARGS ?=
BIN := .venv/bin
# Tests start many processes, and half of them wait most of the time: compiled modules are kept, cores are shared.
PROCESSES := $(shell n=$$(nproc); echo $$((n > 4 ? 8 : n * 2)))
export PYTHONDONTWRITEBYTECODE =

.PHONY: setup demo test run check bench bench-full
.DEFAULT_GOAL := help

help:
	@echo "make demo    a whole firm, connected to a stand-in Salesforce and QuickBooks   (ARGS=--exit ends after the story)"
	@echo "make test    everything: format, lint, types, import contracts, all tests on both databases"
	@echo "make run     the hub itself, on http://127.0.0.1:8000"
	@echo "make check   the quick part of make test"
	@echo "make bench   what it can do in figures (make bench-full for the long ones)"

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or name one with PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	@$(BIN)/hub demo $(ARGS)

run: setup
	@$(BIN)/hub up $(ARGS)

lint: setup
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

check: lint
	@$(BIN)/pytest -q -n 2 -m "not integration and not story and not slow" $(ARGS)

test: lint
	@$(BIN)/pytest -q -n $(PROCESSES) --dist worksteal $(ARGS)

bench: setup
	@$(BIN)/python -m benchmarks $(ARGS)

bench-full: setup
	@$(BIN)/python -m benchmarks --full $(ARGS)
