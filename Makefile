# Two commands: `make demo` and `make test`. Each sets up .venv when it is missing or out of date.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint bench clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## install everything into .venv (2 to 5 minutes, 6 GB, the first time)

$(STAMP): pyproject.toml constraints.txt packages/sits-data/pyproject.toml packages/sits-models/pyproject.toml
	@./scripts/setup.sh $(VENV)
	@touch $@

demo: $(STAMP) ## simulate a catalogue and carry it to a map and a report, in demo/
	@PATH="$(CURDIR)/$(BIN):$$PATH" ./examples/demo.sh

test: $(STAMP) ## run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

test-all: $(STAMP) ## run all tests, the long ones too
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: $(STAMP) ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP) ## measure the speed claims (long; see benchmarks/README.md)
	@$(BIN)/python -m benchmarks.cube
	@$(BIN)/python -m benchmarks.planar
	@$(BIN)/python -m benchmarks.models
	@$(BIN)/python -m benchmarks.train
	@$(BIN)/python -m benchmarks.probe

clean: ## remove the environment, the demo and all caches
	rm -rf $(VENV) demo .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
