# The front door. Needs python3 (3.11 to 3.13) with venv, git and make; PYTHON=... names another python3.
.DEFAULT_GOAL := help
.PHONY: help setup run repro ui test test-all lint docs docs-serve lock bench clean

export PATH := $(CURDIR)/.venv/bin:$(PATH)

# Test runs share the cores between processes; JUNIT=folder keeps their records as XML.
PYTEST = OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q $(if $(JUNIT),--junit-xml="$(JUNIT)/$@.xml")

# The theme advertises its successor at every build.
MKDOCS = NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1|/p' Makefile | awk -F '|' '{ printf "  make %-10s%s\n", $$1, $$2 }'

setup: ## .venv with everything that requirements.lock names, unless it is there already
	@PYTHON="$(PYTHON)" sh scripts/setup.sh

run: setup ## train and evaluate: kedro run; ARGS="model=deep_mnist trainer.max_epochs=3" for another run
	@.venv/bin/kedro run $(ARGS)

repro: setup ## the same stage by stage, only what has changed: dvc repro
	@.venv/bin/dvc repro $(ARGS)

ui: setup ## look at the runs in a browser: kedro ui
	@.venv/bin/kedro ui $(ARGS)

test: setup ## the quick tests
	@$(PYTEST) -n 2 --dist loadfile -m "not slow and not gpu" $(ARGS)

test-all: setup ## the slow tests that `make test` leaves out
	@$(PYTEST) -n 2 --dist loadfile -m "slow and not gpu" $(ARGS)

lint: setup ## format, style, types, layers; dvc.yaml, the lock and the notebooks are up to date
	@.venv/bin/ruff format --check --quiet . || { echo "run: .venv/bin/ruff format" >&2; exit 1; }
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/kedro dvc-yaml --check
	@.venv/bin/python scripts/lock.py --check
	@.venv/bin/python scripts/strip_notebooks.py --check

docs: setup ## the documentation site, into build/site; a link that leads nowhere ends it
	@$(MKDOCS) build --quiet $(ARGS)
	@echo "build/site/index.html"

docs-serve: setup ## the same at http://127.0.0.1:8000, made anew whenever a page changes
	@$(MKDOCS) serve --dev-addr 127.0.0.1:8000 $(ARGS)

lock: setup ## resolve pyproject.toml anew into requirements.lock; ARGS=--upgrade takes the newest of everything
	@.venv/bin/python scripts/lock.py $(ARGS)

bench: setup ## run every benchmark, some hours; results go to benchmarks/results
	@for script in $(filter-out %/common.py %/samples.py %/killing.py %/outcome.py,$(wildcard benchmarks/*.py)); do \
	    echo "$$script" && .venv/bin/python "$$script" || exit 1; \
	done

clean: ## remove caches and build products; data, runs and .venv stay
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .viz
	@find . \( -name .venv -o -name .git -o -name data \) -prune -o -type d -name __pycache__ -exec rm -rf {} +
