# Two commands on a fresh machine with Python >= 3.11: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
# Quiet pip: the lock pins every version and its hash.
EXTRAS := aws azure gcp graph serve spark tune vectors transformer
UV_SYNC := $(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/bin/uv: requirements/uv.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Shelfcheck needs Python 3.11 or later; name one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock
	@touch $@

$(VENV)/.run: $(VENV)/bin/uv requirements/run.lock pyproject.toml
	$(UV_SYNC) requirements/run.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@rm -f $(VENV)/.dev; touch $@

$(VENV)/.dev: $(VENV)/bin/uv requirements/dev.lock pyproject.toml
	$(UV_SYNC) requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@ $(VENV)/.run

.PHONY: demo
demo: $(VENV)/.run ## Generate reviews, run the main job on them, score the findings
	$(BIN)/shelfcheck demo --workspace $(DEMO)

# Which build of PyTorch fits is the machine's matter (CPU, CUDA): it is not in the lock, and pip chooses.
# Without it the tests of the transformer are skipped.
TORCH ?= torch==2.13.0

.PHONY: torch
torch: $(VENV)/.dev ## Add PyTorch, which the tests of the transformer need
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'

# One process a core, and no more than four: each loads the libraries for itself. tests/conftest.py says which
# tests stay together.
TEST_PROCESSES ?= --numprocesses=auto --maxprocesses=4 --dist=loadfile

.PHONY: test
test: $(VENV)/.dev ## Run all tests
	$(BIN)/python -m pytest $(TEST_PROCESSES)

.PHONY: lint
lint: $(VENV)/.dev ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: $(VENV)/.dev ## Write the reference pages from the code
	$(BIN)/python docs/generate.py

.PHONY: lock
lock: $(VENV)/bin/uv ## Pin the newest versions that pyproject.toml allows
	printf 'uv\n' | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --upgrade - -o requirements/uv.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade pyproject.toml -o requirements/run.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --override requirements/overrides.txt pyproject.toml --group dev $(addprefix --extra ,$(EXTRAS)) -o requirements/dev.lock

.PHONY: clean
clean: ## Remove what make made
	rm -rf $(VENV) $(DEMO) dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
