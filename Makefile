# Needs Python 3.11 or newer and make; everything else is fetched into .venv. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-reset test test-long test-year test-faults test-lives check audit bench css docs lock messages migration

PYTHON ?=
export PYTHON
PY := .venv/bin/python
# Processes among which the tests are divided: on two cores, one of three always waits for something.
JOBS ?= 3
# What a new migration does, in a few words.
NAME ?=
# Further arguments, for example: make demo ARGS="--port 9000", make test ARGS="-k money".
ARGS ?=

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-11s %s\n' "$$name" "$$text"; done

setup: ## Make .venv with the locked dependencies; does nothing when it is there
	@tools/setup.sh

demo: setup ## Run everything on this machine, with customers to look at
	@$(PY) -m quntedge demo $(ARGS)

demo-reset: ## Forget the demo's data
	@if [ -d .quntedge ]; then tools/setup.sh && $(PY) -m quntedge demo --forget; else echo "There is no demo data."; fi

test: setup ## Run the tests
	@$(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-long: setup ## Run the tests that make test skips because they take long (some minutes)
	@QUNTEDGE_TEST_LONG=1 $(PY) -m pytest -n $(JOBS) --dist worksteal -m long $(ARGS)

test-year: setup ## Let a hundred subscriptions live through a year (about a minute)
	@QUNTEDGE_TEST_YEAR=1 $(PY) -m pytest -n 0 tests/journeys/test_year.py $(ARGS)

test-faults: setup ## Kill web and worker with SIGKILL in the middle of every call (some minutes)
	@QUNTEDGE_TEST_FAULTS=1 $(PY) -m pytest -n 0 tests/faults $(ARGS)

test-lives: setup ## Let sixty customers do as they please, at random (some minutes)
	@QUNTEDGE_TEST_LONG=1 QUNTEDGE_TEST_LIVES=1 $(PY) -m pytest -n 0 tests/journeys/test_any_life.py $(ARGS)

check: setup ## Linter, format, types, import rules, migrations
	@echo "ruff check"; .venv/bin/ruff check .
	@echo "ruff format"; .venv/bin/ruff format --check .
	@echo "mypy --strict"; .venv/bin/mypy
	@echo "import rules"; .venv/bin/lint-imports --no-logo
	@echo "migrations"; $(PY) -m tools.check_migrations

audit: setup ## Look the locked dependencies up among known vulnerabilities (network)
	@.venv/bin/pip-audit --require-hashes --disable-pip --requirement requirements.lock

bench: setup ## Measure; the table compares with a floor taken in the same run
	@$(PY) -m bench $(ARGS)

css: ## Build the stylesheet and vendor the browser files (Node 20 or newer, network)
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer." >&2; exit 1; }
	@cd frontend && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build

migration: export NAME := $(NAME)
migration: setup ## Write the migration for changed models, for example: make migration NAME="add refund reasons"
	@$(PY) -m tools.new_migration "$$NAME"

messages: setup ## Bring the catalogues of translations up to date with the pages
	@$(PY) -m tools.messages

docs: setup ## Fill the generated parts of the documentation
	@$(PY) -m tools.generate_docs
	@$(PY) -m tools.emulator_contract --write

lock: setup ## Pin the newest dependencies that pyproject.toml allows (network)
	@.venv/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --upgrade --quiet --output-file requirements.lock
