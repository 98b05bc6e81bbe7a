# `make run` on a fresh machine needs python3 (3.11 or later) and make; everything else is installed into .venv.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help run test lint format wheel-check clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

run: $(READY)  ## the main job, on every backend found here; the report goes to runs/ (ARGS="learn-xor --backend numpy")
	$(BIN)/crossnn run $(ARGS)

test: $(READY)  ## all tests, on two processes (JOBS=1 for one; ARGS="tests/test_grammar.py -k power")
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

lint: $(READY)  ## formatting, style and types
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

format: $(READY)  ## put the code into the house format
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

wheel-check: $(READY)  ## build wheel and sdist, and use the wheel from an empty folder without any framework
	CROSSNN_WHEEL=required $(BIN)/python -m pytest tests/test_packaging.py

clean:  ## remove what was built or cached; runs/ and .venv stay (rm -r them by hand)
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find crossnn backends specs tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("crossnn needs Python 3.11 or later; $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,dev]'
	@touch $@
