# make run: everything, on this machine. make test, make check: what a change must pass.
# make test TESTS=tests/unit: some of the tests. WORKERS=1: in fewer or more processes at once.
# make quick: while writing, in a minute or two on two cores: the unit tests, and of each other room
# of tests the files in QUICK, chosen for what they tell of the whole and for taking seconds.
# make lock: the locks after a change of the requirements. make lock NEWEST=1: with the newest of all that
# the requirements need in turn. make audit: whether a known weakness is in what the locks name.
# make faults N=2000 KILLS=40 SEED=1 MINUTES=60 SENTINELS=1 EVENTS=websocket: the gateway killed at
# random, and what became of it.
# make live URL=https://chat.example.com TOKEN=… ACCOUNT=2: this gateway against any Chatwoot; EVENTS=webhook
# if it can call this machine, YES=1 for an account with conversations.

PYTHON ?= python3
WORKERS ?= auto
QUICK := tests/unit \
  tests/relay/test_to_chatwoot_delivery.py tests/relay/test_outbound.py tests/traps/test_traps_people.py \
  tests/adapters/test_telegram.py tests/adapters/test_twilio.py \
  tests/sandbox/test_client_against_chatwoot.py tests/faults/test_notes.py tests/e2e/test_run.py
VENV := .venv
BIN := $(VENV)/bin
INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes
TOOLS := $(VENV)/tools
LOCK := $(TOOLS)/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
  $(if $(NEWEST),--upgrade)
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: run test quick check bench faults live ci outdated lock audit
.DELETE_ON_ERROR:

# With settings the gateway; without, the sandbox: the gateway with stand-ins for all it talks to.
run: $(VENV)/.installed
	@if [ -n "$$GATEWAY_CONFIG" ] || [ -f channels.toml ]; then \
	  exec $(BIN)/python -m gateway run; else exec $(BIN)/python -m sandbox; fi

# Each process, of the tests and of the gateways that they start, reads the same modules: compiled
# ones are kept, or half of the time goes into compiling.
test quick: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.installed-dev
	@exec $(PYTEST) $(TESTS)

quick: $(VENV)/.installed-dev
	@exec $(PYTEST) $(QUICK)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/unit/import_rule.py

bench: $(VENV)/.installed-dev
	@exec $(BIN)/python -m bench

faults: $(VENV)/.installed-dev
	@exec $(BIN)/python -m faults $(if $(N),--messages $(N)) $(if $(KILLS),--kills $(KILLS)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
	  $(if $(SENTINELS),--sentinels) $(if $(EVENTS),--events $(EVENTS))

live: $(VENV)/.installed
	@exec $(BIN)/python -m live $(if $(EVENTS),--events $(EVENTS)) $(if $(YES),--yes) \
	  "$(URL)" "$(TOKEN)" "$(ACCOUNT)"

ci: check test

# Pins that are not the newest release. Asks the package index about each, and fails if it is silent.
outdated: $(VENV)/.installed
	@sed -nE 's/^([A-Za-z0-9._-]+)(\[.*\])?==([^ ]+)$$/\1 \3/p' requirements.txt requirements-dev.txt | \
	while read -r name pin; do \
	  newest=$$($(BIN)/python -m pip index versions "$$name" 2>/dev/null | sed -nE '1s/.*\((.*)\)$$/\1/p'); \
	  [ -n "$$newest" ] || { echo "$$name: the package index does not answer"; exit 1; }; \
	  [ "$$newest" = "$$pin" ] || echo "$$name: $$pin is pinned, $$newest is the newest"; \
	done

# Every file of every release that is needed, for each Python from 3.11 and each system: one lock is right
# for all. No index is named: each machine asks its own, and takes nothing that has another hash.
lock: $(TOOLS)/.installed
	$(LOCK) requirements.txt -o requirements.lock
	$(LOCK) requirements-dev.txt -c requirements.lock -o requirements-dev.lock
	$(LOCK) requirements-tools.txt -o requirements-tools.lock

# Fails if a release with a known weakness is named, and as clearly if the database does not answer.
audit: $(TOOLS)/.installed
	@$(TOOLS)/bin/pip-audit --strict --progress-spinner off --disable-pip --require-hashes \
	  -r requirements.lock -r requirements-dev.lock -r requirements-tools.lock || { \
	  echo "make audit: a release has a known weakness (listed above), or nothing was learned, because"; \
	  echo "the database at pypi.org could not be asked. Only an end without this line is good news."; exit 1; }

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "This needs Python 3.11 or newer; $(PYTHON) is older or missing."; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

# The stamps: nothing is installed again before the locks change.
$(VENV)/.installed: requirements.lock | $(VENV)/bin/python
	@echo "Installing $<"
	@$(BIN)/python $(INSTALL) -r $<
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing $<"
	@$(BIN)/python $(INSTALL) -r $<
	@touch $@

# Apart from the gateway, which needs none of them.
$(TOOLS)/.installed: requirements-tools.lock | $(VENV)/bin/python
	@echo "Installing $<"
	@$(BIN)/python -m venv $(TOOLS)
	@$(TOOLS)/bin/python $(INSTALL) -r $<
	@touch $@
