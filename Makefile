# Two targets do everything on a machine with Python 3.11, pip and make: `make run` and `make test`.
# They need neither root, nor the venv package's ensurepip, nor uv; pip's own settings (PIP_*) are honoured.

.DEFAULT_GOAL := help
.PHONY: help install run test test-fast coverage check format browser deploy-tools sdk bench bench-directory bench-enumeration chaos soak wheel lock clean

VENV := .venv
PY   := $(VENV)/bin/python
# One file each says when its lock was last installed, so that a second start costs nothing.
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev
BUILD   := $(VENV)/.build
# The SDKs for JavaScript, for some journeys; without npm those are skipped.
JS      := tests/journeys/js
SDK     := $(if $(shell command -v npm 2>/dev/null),$(JS)/node_modules/.installed)

# Processes of `make test`; each has a PostgreSQL and a browser of its own. One more than two cores: a fifth of the time
# a test waits for a server to start or stop, and another one goes on.
JOBS ?= 3
# More arguments for pytest, the bench or uv: make test-fast ARGS="-k sign_up"
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK ?= 1
# Playwright's own download is never wanted: the browser is found by tests/chromium.py.
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD ?= 1

# Sets $python to the first of the candidates that is new enough. One that is on the PATH need not run
# (pyenv leaves such shims), so each is asked. PYTHON=… names the only candidate.
CANDIDATES = $(or $(PYTHON),python3.11 python3 python3.12 python3.13 python3.14)
find_python = for python in $(CANDIDATES); do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; done; \
	test "$$python" || { echo "Cognate needs Python 3.11 or newer, and none of these is: $(CANDIDATES)." \
		"Install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }

# Sets $pip to a pip that can install into another interpreter's environment (pip 22.3 of 2022 or newer).
# It works from outside because Debian's venv module cannot put pip inside without the package python3-venv.
find_pip = $(find_python); for pip in "$$python -m pip" "python3 -m pip" pip3 pip; do \
	$$pip --python $(PY) --version >/dev/null 2>&1 && break; pip=; done; \
	test "$$pip" || { echo "pip 22.3 or newer is needed: apt-get install python3-pip" >&2; exit 1; }

# The lock is complete (tests/house/test_locks.py), so pip resolves nothing (--no-deps): it would look at versions that
# appeared after the lock was written, and stop at them. Wheels only: an sdist would run code, and fetch build tools, that
# no hash in the lock stands for.
pip_install = $(find_pip); \
	$$pip --python $(PY) install --quiet --no-deps --require-hashes --only-binary :all: -r

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUNTIME) ## Make the virtual environment with what the server needs

run: $(RUNTIME) ## Start a demo on port 8080: migrated, seeded, with everything to copy printed
	@COGNATE_MODE=development exec $(VENV)/bin/cognate demo

test: $(DEV) browser deploy-tools sdk ## Run every test, on SQLite and PostgreSQL, with a browser
	@$(PY) -m pytest -n $(JOBS) $(ARGS)

# Apart from `test`: tracing every call makes all of them slower.
coverage: $(DEV) browser deploy-tools sdk ## Run every test, and report which branches none of them takes
	@$(PY) -m pytest -n $(JOBS) --cov=app $(ARGS)

test-fast: $(DEV) ## Run the tests that need neither browser nor PostgreSQL
	@$(PY) -m pytest -n $(JOBS) -m "not browser and not postgres and not slow" $(ARGS)

check: $(DEV) ## Check format, lint, types and who imports whom
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-logo

format: $(DEV) ## Put the code into its format and repair what ruff can
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

browser: $(DEV) ## Find Chromium for the tests, else install it (apt, as root)
	@if $(PY) -m tests.chromium >/dev/null 2>&1; then :; \
	elif [ -z "$$CHROMIUM" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends chromium libatomic1 fonts-dejavu-core >/dev/null && \
		$(PY) -m tests.chromium; \
	else $(PY) -m tests.chromium; fi

# What checks deploy/; Debian has nginx where only root looks, and promtool in prometheus. Without them their tests are
# skipped. RUNLEVEL keeps apt from starting a server.
deploy-tools: ## Find nginx, promtool and systemd-analyze for the tests, else install them (apt, as root)
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin"; found() { command -v nginx && command -v promtool && command -v systemd-analyze; } >/dev/null; \
	if ! found && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends nginx prometheus systemd >/dev/null; \
	fi; found || echo "No nginx, promtool or systemd-analyze: some tests of deploy/ are skipped" \
		"(make deploy-tools as root, or apt-get install nginx prometheus systemd)." >&2

sdk: $(SDK) ## Install the SDKs for JavaScript for the tests, where there is npm

bench: $(DEV) ## Measure the server against this machine's limits (ARGS=URL for another server)
	@$(PY) -m bench $(ARGS)

bench-directory: $(DEV) ## Measure searches and sign-ups among up to a million users
	@$(PY) -m bench.directory $(ARGS)

bench-enumeration: $(DEV) ## Measure whether answers tell by their time who has an account
	@$(PY) -m bench.enumeration $(ARGS)

chaos: $(DEV) ## Break things under a server that is asked all the while (ARGS=--list for which)
	@$(PY) -m chaos $(ARGS)

soak: $(DEV) ## Ten minutes of mixed load: whether memory, descriptors, threads and connections stay flat
	@$(PY) -m chaos --soak $(ARGS)

wheel: $(BUILD) ## Build dist/cognate_idp-….whl, to be installed with pip, pipx or uv
	@$(PY) -m hatchling build --target wheel --directory dist

# uv is one of the tools of the development lock: pinned there, and known by its hashes.
lock: $(DEV) ## Write the lock files again (ARGS=--upgrade for newer versions)
	@$(call compile,requirements.lock,pyproject.toml)
	@$(call compile,requirements-build.lock,--group build --constraint requirements.lock)
	@$(call compile,requirements-dev.lock,pyproject.toml --extra otel --group dev --constraint requirements.lock \
		--constraint requirements-build.lock)

clean: ## Remove what the targets made; the data directory stays
	rm -rf $(VENV) dist $(JS)/node_modules .coverage .coverage.* htmlcov
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The development lock is solved under the versions of the others, so that what is tested is what is served. uv does not
# read PIP_*: behind a certificate authority of one's own it needs to be told to use the system's.
compile = UV_SYSTEM_CERTS=1 $(VENV)/bin/uv pip compile $(2) --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock" --quiet $(ARGS) --output-file $(1)

# A link to an interpreter that has gone counts as absent, and the environment is made anew.
$(PY):
	@$(find_python); rm -rf $(VENV) && $$python -m venv --without-pip $(VENV)

# Cognate runs from this tree, where its themes and migrations are: two files make `import app` and the command
# `cognate` work from anywhere, without building the wheel.
$(RUNTIME): requirements.lock Makefile $(PY)
	@echo "Installing what Cognate needs (about half a minute, once) …"
	@$(pip_install) requirements.lock
	@pwd > "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/cognate.pth"
	@printf '%s\n' '#!$(CURDIR)/$(PY)' 'import sys' 'from cognate.__main__ import main' 'sys.exit(main())' > $(VENV)/bin/cognate
	@chmod +x $(VENV)/bin/cognate
	@touch $@

$(BUILD): requirements-build.lock $(RUNTIME)
	@$(pip_install) requirements-build.lock
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "Installing the tools of the tests …"
	@$(pip_install) requirements-dev.lock
	@touch $@

# Nobody's scripts run: the packages come whole, and by the hashes of the lock. A registry that cannot be reached
# costs some journeys, not the tests.
$(JS)/node_modules/.installed: $(JS)/package.json $(JS)/package-lock.json
	@echo "Installing the SDKs for JavaScript …"
	@if npm ci --prefix $(JS) --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; then touch $@; \
		else echo "npm could not install them; the journeys that need them are skipped." >&2; fi
