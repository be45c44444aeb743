# Chancery. `make` prints this list.
# Everything lives below this folder (.venv, .chancery); nothing needs root.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
UV ?= uv
PYTEST_ARGS ?=
LOCK := requirements/all.txt

##@ Try it
.PHONY: demo run
demo: $(VENV)/project ## log in, sign and verify against the simulator, each step explained; then stop
	@$(BIN)/python -m simulator demo

run: $(VENV)/project ## the same, and stay up for you to use (Ctrl-C stops)
	@$(BIN)/python -m simulator run

##@ Real images (Linux on x86-64; the first time takes half an hour, kept in ~/.cache/chancery)
.PHONY: boot eif kernel emulator
CONFIG ?= deploy/samples/config.json
boot: $(VENV)/project ## build the real image, boot it in QEMU without AWS, log in, sign and verify
	@$(BIN)/python -m simulator boot

eif: $(VENV)/project ## build/chancery.eif with CONFIG=config.json, and its registers
	@mkdir -p build
	@$(BIN)/chancery-eif build --config $(CONFIG) --out build/chancery.eif --parts build/parts.json | tee build/measurements.json

kernel: $(VENV)/project ## the image's kernel alone; says where it is, and its hash
	@$(BIN)/python -m eif.kernel.build

emulator: $(VENV)/project ## QEMU with the nitro-enclave machine, from Debian's source
	@$(BIN)/python -m eif.emulator.build

##@ Work on it
.PHONY: test lint fmt bench
test: $(VENV)/project ## the whole test suite; PYTEST_ARGS="-k name" narrows it
	@$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/project ## style, types and who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: $(VENV)/project ## bring the code into the common format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/project ## signatures per second and latencies on this machine
	@$(BIN)/python -m benchmarks

##@ Look after it
.PHONY: lock image-lock clean help
# Releases of the last week are left out (SC-05): a poisoned one is usually found within days.
COMPILE = $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	--exclude-newer "7 days" --no-header --no-annotate
lock: ## pin the newest dependencies that pyproject.toml allows (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: python3 -m pip install uv, or UV=/path/to/uv" >&2; exit 1; }
	$(COMPILE) --all-extras -o $(LOCK)
	$(COMPILE) --extra enclave -c $(LOCK) -o requirements/enclave.txt
	$(COMPILE) -c $(LOCK) -o requirements/verifier.txt

image-lock: $(VENV)/project ## pin the newest Debian packages and wheels for images (needs apt)
	@$(BIN)/python -m eif.debian.relock
	@$(BIN)/python -m eif.rootfs.wheels

clean: ## remove everything that these targets made
	@rm -rf $(VENV) .chancery build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# --- the virtual environment: made anew when the lock changes, and only then ---
define CHECK_PYTHON
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit("Chancery needs Python 3.11 to 3.13; this is %d.%d. Name another: make PYTHON=python3.13" % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    sys.exit("This Python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv")
endef
export CHECK_PYTHON

PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

$(VENV)/locked: $(LOCK)
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Chancery needs Python 3.11 to 3.13." >&2; exit 1; }
	@$(PYTHON) -c "$$CHECK_PYTHON"
	@echo "Installing $$(grep -c == $(LOCK)) packages into $(VENV) (about a minute, once) ..." >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --only-binary :all: --require-hashes -r $(LOCK)
	@touch $@

# Our own code is used from the checkout; this adds the commands chancery, nitro-attest and chancery-sim.
$(VENV)/project: $(VENV)/locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@
