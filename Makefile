# Needs python3.11 or newer (as python3.11, python3 or python), git and make; nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
BASE := $(VENV)/.base
DEV := $(VENV)/.dev
RESULTS := runs/demo

.DEFAULT_GOAL := help
.PHONY: help setup dev run test lint format bench clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@echo "Making $(VENV)"
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "FaceCCTV needs Python 3.11 or newer")'
	@"$(PYTHON)" -m venv $(VENV)

# A stamp is newer than all it was made from, so nothing is installed twice.
$(BASE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing FaceCCTV"
	@$(PIP) --editable '.[demo]'
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing FaceCCTV with all that training and testing need (PyTorch: some minutes)"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(BASE)

setup: $(BASE) ## Install FaceCCTV into .venv (seconds when nothing changed)

dev: $(DEV) ## The same with training and test tools

run: setup ## Compose the demo pictures and examine them
	@$(BIN)/facecctv demo --out $(RESULTS)/pictures
	@$(BIN)/facecctv examine $(RESULTS)/pictures --out $(RESULTS)/results
	@echo "Next, your own pictures: $(BIN)/facecctv examine FOLDER --out RESULTS"

test: lint ## Run the linters and all tests
	@$(BIN)/python -m pytest -q

lint: dev ## Check style, types and layers
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > $(VENV)/layers.txt || { cat $(VENV)/layers.txt; exit 1; }

format: dev ## Put the code into its standard form
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

bench: dev ## Measure speed and memory on this machine
	@$(BIN)/python -m benchmarks

clean: ## Remove what was built and downloaded into the checkout
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
