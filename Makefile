# Handrail needs Python 3.11+ and make; everything else comes into .venv by itself.
#
#   make demo     the main job: server, worker and the shipments agent on real events
#   make test     all tests (what .ci/run calls)
#   make check    ruff, pyright, import-linter, wheel contents
#   make bench    Handrail beside hand-written Temporal workflows; how long people wait
#   make chaos    kill -9 and SIGSTOP aimed at every boundary of a write
#   make deploys  kill workers under waiting cases, and put changed models in their place
#   make rollouts  roll out good and bad builds while workers are killed
#   make integrity  forged, replayed and altered rulings by the 100,000: none may count
#   make injection  hostile texts against an agent that obeys all of them: no write may come of it
#   make pilots   three agents from pilot to full by signatures, in shares; drift takes one back
#   make guards   every guard fires once on the shipments agent; its table into docs/demonstration.md
#   make figures  play all alerts, and write what came out into docs/demonstration.md
#   make map      draw the rooms of the engine anew, from the import contract
#   make docs     build the site of the documentation into build/docs/site
#   make format   let ruff rewrite the code
#   make clean    remove .venv and what tools left behind; .handrail/ (your cases) stays

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.handrail-setup
# A Python to start from: PYTHON=/path/to/python make setup
PYTHON ?=
# How many test processes at once: on two cores four of them wait for servers a quarter of the time.
JOBS ?= 6
CODE := $(wildcard src workflows activities guardrails workers world tests benchmarks docs deploy)

# Where nothing compiled may be kept, each test process compiles all that it imports: 3 s of CPU in
# place of 1.3 to import the engine, and 19 in place of 6 to find the tests.
unexport PYTHONDONTWRITEBYTECODE

# The machine's uv where it is new enough for pyproject.toml, else the one in .venv.
find_uv = case "$$(uv --version 2>/dev/null)" in (''|'uv 0.'[0-8].*) echo $(BIN)/uv;; (*) echo uv;; esac

.PHONY: docs help setup test check bench chaos deploys rollouts integrity injection pilots demo guards figures map lint types layers wheel format clean

help:
	@sed -n '/^#   make/s/^#   //p' Makefile

setup: $(STAMP)

$(STAMP): pyproject.toml uv.lock
	@set -eu; \
	python=""; \
	for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python="$$candidate"; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "setup: no Python 3.11 or newer found. Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python), or name it: make setup PYTHON=/path/to/python3" >&2; \
	  exit 1; \
	fi; \
	if [ ! -x $(BIN)/python ]; then \
	  echo "setup: creating $(VENV) with $$("$$python" --version)"; \
	  if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "setup: this Python cannot make virtual environments (no ensurepip). Fix: apt install python3-venv (Debian, Ubuntu), or name another: make setup PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	  fi; \
	  "$$python" -m venv $(VENV); \
	fi; \
	uv=$$($(find_uv)); \
	if [ "$$uv" != uv ] && [ ! -x "$$uv" ]; then \
	  echo "setup: bringing uv into $(VENV) (none on this machine, or an older one)"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'; \
	fi; \
	echo "setup: installing what uv.lock names into $(VENV), with $$("$$uv" --version)"; \
	UV_PROJECT_ENVIRONMENT=$(VENV) VIRTUAL_ENV= "$$uv" sync --locked --all-extras --quiet --compile-bytecode --python $(BIN)/python; \
	touch $@; \
	echo "setup: done"

test: $(STAMP)
	@echo "test: all tests, $(JOBS) at once"
	@$(BIN)/python -m compileall -q -j 0 $(CODE)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --max-worker-restart 0

check: lint types layers wheel
	@echo "check: all passed"

lint: $(STAMP)
	@echo "lint: ruff"
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)

types: $(STAMP)
	@echo "types: pyright strict"
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

layers: $(STAMP)
	@echo "layers: import-linter"
	@PYTHONPATH=. $(BIN)/lint-imports --no-cache

wheel: $(STAMP)
	@echo "wheel: build it, and see that it holds handrail alone"
	@rm -rf build/wheel
	@VIRTUAL_ENV= $(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir build/wheel
	@$(BIN)/check-wheel-contents build/wheel

bench: $(STAMP)
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m benchmarks.people
	@$(BIN)/python -m benchmarks.stop

chaos: $(STAMP)
	@$(BIN)/python -m tests.chaos

deploys: $(STAMP)
	@$(BIN)/python -m tests.deploys

rollouts: $(STAMP)
	@$(BIN)/python -m tests.rollouts

integrity: $(STAMP)
	@$(BIN)/python -m tests.integrity

injection: $(STAMP)
	@$(BIN)/python -m tests.injection

pilots: $(STAMP)
	@$(BIN)/python -m benchmarks.agents.pilots

demo: $(STAMP)
	@$(BIN)/handrail demo

guards: $(STAMP)
	@$(BIN)/python -m workers.guards

figures: $(STAMP)
	@$(BIN)/python -m workers.figures

map: $(STAMP)
	@$(BIN)/python -m tests.architecture

docs: $(STAMP)
	@$(BIN)/python docs/site.py

format: $(STAMP)
	@$(BIN)/ruff check --fix-only $(CODE)
	@$(BIN)/ruff format $(CODE)

clean:
	rm -rf $(VENV) build dist .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
