# A thin list of verbs; each needs nothing but Python and a package registry.

UV_VERSION := 0.13.8
UV := $(or $(shell uv --version >/dev/null 2>&1 && command -v uv),.uv/bin/uv)
# A person who was told in words why something is refused needs no "make: *** [run] Error 1" after it: so asked, on a
# terminal, the exit code is 0.
THINKBACK := env THINKBACK_FROM_MAKE=1 .venv/bin/thinkback

# The certificates that the machine trusts.
export UV_SYSTEM_CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),1)

.DEFAULT_GOAL := help
.PHONY: help install run tunnel web start stop restart status doctor log test test-fast harden harden-long cluster coverage fmt lint structure check bench bench-full release vendor screenshots

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: .venv/.installed ## Install what the gateway needs into .venv

run: .venv/.installed ## Start the gateway here; Ctrl-C stops it
	@exec $(THINKBACK) up

tunnel: .venv/.installed ## The same with a tunnel, so that Cursor reaches it
	@exec $(THINKBACK) up --tunnel

web: .venv/.installed ## The same under mitmweb, to watch the traffic in a browser
	@exec $(THINKBACK) up --web

start: .venv/.installed ## Start the gateway in the background
	@exec $(THINKBACK) start

stop: .venv/.installed ## Stop the gateway that runs in the background, when its answers have ended; Ctrl-C cuts them
	@exec $(THINKBACK) stop

restart: .venv/.installed ## Run it anew, after an upgrade too: no answer is cut and no client refused
	@exec $(THINKBACK) restart

status: .venv/.installed ## Say what is running
	@exec $(THINKBACK) status

doctor: .venv/.installed ## Look for what is wrong, and say what to do
	@exec $(THINKBACK) doctor

log: .venv/.installed ## Follow the log of the gateway in the background
	@exec $(THINKBACK) log -f

# Idle workers take the rest of a busy one's tests, whose longest are first; tests/conftest.py says how many there are.
IN_PARALLEL := --numprocesses logical --maxprocesses 4 --dist worksteal

# Containers often forbid it; each worker would compile all tests and what they import then, 12 s of CPU at each run.
PYTEST := PYTHONDONTWRITEBYTECODE= .venv/bin/pytest

# Units stand in the folders that mirror the sources, all but those that start whole gateways or send an API thousands
# of generated requests.
UNITS := tests/addon tests/manage_api tests/shared \
	$(addprefix --ignore=tests/manage_api/,command test_schema.py)

test: .venv/.installed-dev ## Run all tests, or FILE=path: one file, folder or test
	@$(PYTEST) $(or $(FILE),$(IN_PARALLEL))

test-fast: .venv/.installed-dev ## Run the unit tests, in a minute
	@$(PYTEST) $(IN_PARALLEL) $(UNITS)

# `make harden TABLE=docs/security.md` writes what was measured into the table there.
WRITE = $(if $(TABLE),--write $(TABLE))

harden: .venv/.installed-fuzz ## Measure what is promised on a public address, or FILE=module of tests/harden
	@HARDEN=1 .venv/bin/python -m tests.harden $(WRITE) $(FILE)

harden-long: .venv/.installed-fuzz ## The same at full scale, with all kills and every coding agent: hours
	@HARDEN=long .venv/bin/python -m tests.harden $(WRITE)
	@HARDEN=long SEEDS=5000 .venv/bin/pytest tests/e2e/test_kills.py tests/e2e/test_conversations.py tests/e2e/test_carriers.py tests/e2e/test_coding_agents.py tests/properties/test_recall_stories.py tests/properties/test_carriers.py tests/deploy/test_first_steps.py

cluster: .venv/.installed-dev ## Kill and stop two workers under load for five minutes: no turn rejected, and the books agree
	@.venv/bin/python -m tests.cluster

coverage: .venv/.installed-dev ## Measure which branches the tests take and which faults they notice, in a quarter of an hour
	@.venv/bin/python -m tests.harden $(WRITE) covered mutated

fmt: .venv/.installed-dev ## Format the code and mend what can be mended
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

lint: .venv/.installed-dev ## Check style, types and the direction of imports
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

structure: .venv/.installed-dev ## Measure rooms, floors, sizes and lines against their goals
	@.venv/bin/python -m tools.structure

check: lint structure test ## Everything a change must pass

bench: .venv/.installed-dev ## Measure the gateway beside bare mitmproxy, in five minutes
	@.venv/bin/python -m tests.bench

# `make bench-full TABLE=docs/performance.md` writes the tables there; BENCH_LITELLM=folder names LiteLLM's environment.
bench-full: .venv/.installed-dev ## The same over plain and TLS, beside others, and how it grows: two hours
	@.venv/bin/python -m tests.bench --full $(WRITE)

release: ## Bump the version, date the changelog, commit and tag: VERSION=1.2.3 (maintainers)
	@python3 tools/release.py $(VERSION)

screenshots: .venv/.installed-dev ## Take pictures of every page into docs/screenshots, or TO=folder (needs chromium)
	@.venv/bin/python -m tests.browser.screenshots $(TO)

vendor: ## Fetch what browsers get of others again, at the versions in tools/vendor.py (maintainers; needs npm)
	@python3 tools/vendor.py

# --- Installation -----------------------------------------------------------------------------------------------------

# .python-version names the Python that is tested most; where it is missing, any that pyproject.toml allows will do.
# pyenv hides the others from a directory with that file unless PYENV_VERSION names them.
OTHERS = $$(pyenv versions --bare 2>/dev/null | grep -E '^3\.1[2-4]\.' | paste -sd: -)
# Where none will do, uv fetches the one that is named, unless UV_PYTHON_DOWNLOADS=never forbids that.
PYTHON = $$($(UV) python find 2>/dev/null || PYENV_VERSION=$(OTHERS) $(UV) python find '>=3.12,<3.15' 2>/dev/null || { $(FETCH); })
FETCH = echo 'No Python here is 3.12, 3.13 or 3.14, so uv fetches one' >&2; \
	UV_PYTHON_INSTALL_BIN=0 $(UV) python install && $(UV) python find || { printf '%s\n' '' $(NO_PYTHON) >&2; false; }
NO_PYTHON = 'Thinkback needs Python 3.12, 3.13 or 3.14, and uv could not fetch one: the lines above say why.' \
	'Install one (with your system, Homebrew, pyenv or from python.org), or name a mirror that this machine' \
	'reaches in UV_PYTHON_INSTALL_MIRROR (docs.astral.sh/uv), and run make again. Docker needs no Python.'
SYNC = python=$(PYTHON) && $(UV) sync --quiet --frozen --inexact --python "$$python"

.venv/.installed: pyproject.toml uv.lock | $(UV)
	@echo 'Installing what Thinkback needs into .venv' >&2
	@$(SYNC) --no-dev
	@touch $@

.venv/.installed-dev: pyproject.toml uv.lock | $(UV)
	@echo 'Installing what Thinkback and its tests need into .venv' >&2
	@$(SYNC)
	@touch $@ .venv/.installed

.venv/.installed-fuzz: pyproject.toml uv.lock | $(UV)
	@echo 'Installing what Thinkback, its tests and their fuzzer need into .venv' >&2
	@$(SYNC) --group fuzz
	@touch $@ .venv/.installed .venv/.installed-dev

# Written with alternatives because a pyenv shim for a version that is not installed is no Python at all.
.uv/bin/uv:
	@for python in python3 /usr/bin/python3 python3.14 python3.13 python3.12; do \
		if $$python -m venv .uv >/dev/null 2>&1; then break; fi; \
	done
	@.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
		|| { printf '%s\n' $(NO_UV) >&2; rm -rf .uv; exit 1; }
NO_UV = 'uv, which installs Thinkback, could not be installed. It needs python3 with venv (on Debian and Ubuntu:' \
	'apt install python3-venv) and a package registry, or uv by hand (docs.astral.sh/uv). Then run make again.'
