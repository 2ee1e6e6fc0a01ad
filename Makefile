# make demo | make test | make lint | make bench
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow cluster-test lint format bench clean help

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	cluster/python-packages.sh $(BIN)/python --editable ".[dev]"
	@touch $@

demo: $(INSTALLED) ## serve configs/local.yaml, edit samples, keep serving (ONCE=1: stop after it)
	$(BIN)/qwen-edit demo configs/local.yaml --port $(PORT) $(if $(ONCE),--once)

test: $(INSTALLED) ## run the tests
	$(BIN)/pytest --numprocesses 2

test-slow: $(INSTALLED) ## run what is too long for every run
	$(BIN)/pytest -m slow --timeout 0

cluster-test: $(INSTALLED) ## run the tests of several nodes: kill, remove, update and scale under load
	$(BIN)/pytest -m slow --timeout 0 tests/cluster

lint: $(INSTALLED) ## ruff, mypy, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## ruff's formatter and its safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## measure; results in benchmarks/results
	$(BIN)/python -m benchmarks

clean: ## remove the environment and what was built
	rm -rf $(VENV) dist demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
