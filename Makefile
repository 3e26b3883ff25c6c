# make run   sets up everything and runs the daemon in the foreground, with the default configuration
# make test  sets up everything and runs every test, those in virtual machines too
# The rest is listed by `make help`.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# The daemon's options, as in: make run ARGS=--dry-run
ARGS ?= --config conf/oomguard.toml

.PHONY: help run test check lint test-vm test-kernels bench bench-vm clean

help:  ## Say what can be made.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	@tools/environment $(VENV) $(PYTHON)

run: $(READY)  ## Run the daemon in the foreground; ARGS are its options.
	@exec $(BIN)/oomguardd $(ARGS)

test: $(READY)  ## Run all tests and linters; installs QEMU from Debian's packages when run as root.
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	$(PYTEST) tests || status=1; \
	exit $$status

check: lint  ## Run the linters and all tests but those in virtual machines.
	@$(PYTEST) tests --ignore=tests/vm

lint: $(READY)  ## Run the linters only.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/vermin --quiet --no-tips --violations -t=3.10- --exclude tomllib oomguardd tests

test-vm: $(READY)  ## Run the scenarios in a virtual machine.
	@$(PYTEST) tests/vm

test-kernels: $(READY)  ## Run the short form on the kernels of Debian 11 to 13 and unstable.
	@$(PYTEST) tests/vm/test_kernels.py

bench: $(READY)  ## Measure speed, memory and idle cost, as ratios.
	@$(BIN)/python -m tests.bench

bench-vm: $(READY)  ## Run the scenarios with earlyoom, nohang and systemd-oomd in our place too.
	@$(BIN)/python -m tests.vm.bench

clean:  ## Remove what was made here.
	rm -rf $(VENV) $(VENV).lock build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
