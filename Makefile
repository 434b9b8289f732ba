# Everything a developer does, by name. `make` alone lists it. The work is done by dev/ (python -m dev); this file gets
# that started on a machine that has only Python, and says which tests belong to which layer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEV := $(BIN)/python -m dev
PYTEST := $(BIN)/python -m pytest

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# See constraints.txt.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt

.PHONY: help cluster down status images demo install lint format crds bench picture test \
        test-unit test-dev test-redis test-worker test-webapp test-aggregation test-cluster test-server test-chart \
        test-e2e

help: ## List what there is to make
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- the whole thing

demo: $(VENV)/started ## See it work: cluster, images, chart, a web app's items, workers 0 -> N -> 0
	$(DEV) demo

cluster: $(VENV)/started ## Bring up a Kubernetes cluster; its kubeconfig is .cluster/kubeconfig
	$(DEV) cluster up

status: $(VENV)/started ## Say whether the cluster works
	$(DEV) cluster status

images: $(VENV)/started ## Build all images and load them into the cluster
	$(DEV) images

down: $(VENV)/started ## Remove all that demo, cluster, images and test made (caches stay)
	$(DEV) cluster down

install: $(VENV)/started ## Install what development needs, without a cluster
	$(DEV) install tests

# --- checks

lint: $(VENV)/started ## Style, types, and the layers of the architecture
	$(DEV) install python
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/started ## Bring the code into its style
	$(DEV) install python
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

crds: $(VENV)/started ## Write crds/, the chart's copy and the reference page from the models
	$(DEV) install python
	$(BIN)/bullherd crds crds
	$(BIN)/bullherd crds charts/bullherd/files/crds
	$(BIN)/bullherd reference docs/reference

bench: $(VENV)/started ## Measure speed and print tables
	$(DEV) install all
	$(BIN)/python -m bench

picture: $(VENV)/started ## Draw the picture of docs/autoscaling.md anew, from a run of five minutes
	$(DEV) install all
	$(DEV) images bullherd-worker
	$(BIN)/python -m bench.timeline

# --- tests; ARGS are handed to pytest: make test-unit ARGS="-k scaling -x"

test: $(VENV)/started ## Everything: lint and every layer of tests
	$(DEV) install all
	$(MAKE) --no-print-directory lint
	$(PYTEST) $(ARGS)

test-unit: $(VENV)/started ## Decisions as tables; needs nothing
	$(DEV) install python
	$(PYTEST) tests/unit $(ARGS)

test-dev: $(VENV)/started ## This developer's tool; starts local nodes of its own
	$(DEV) install all
	$(PYTEST) tests/dev $(ARGS)

test-redis test-worker test-webapp test-aggregation: test-%: $(VENV)/started ## Against a real Redis, Node clients, PostgreSQL
	$(DEV) install tests
	$(PYTEST) tests/$* $(ARGS)

test-cluster test-server test-chart test-e2e: test-%: $(VENV)/started ## Against the cluster
	$(DEV) install all
	$(PYTEST) tests/$* $(ARGS)

# --- the start: a virtual environment in which dev/ can run, and install the rest itself

$(VENV)/started: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Bullherd needs Python 3.11 or newer; $$($(PYTHON) --version) is $$(command -v $(PYTHON)). Set PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "installs the Debian package python3-venv"; \
	  apt-get update -q && apt-get install -y -q --no-install-recommends python3-venv; } \
	  || { echo "Python's venv module is missing: apt-get install python3-venv, as root"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-input rich
	@touch $@
