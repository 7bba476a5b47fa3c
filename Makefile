# Everything sets itself up: `make demo` and `make test` work in a fresh clone with git, make and a python3 with venv.

.DEFAULT_GOAL := help
.PHONY: help demo test test-oldest test-newest lint coverage mutants mutants-loops format wheel-check audit setup lock clean
.DELETE_ON_ERROR:

# A uv on the PATH is used; otherwise the one pinned in requirements/uv.txt goes into .tools/.
UV := $(shell uv python find --help >/dev/null 2>&1 && echo uv)
ifeq ($(UV),)
UV := .tools/bin/uv
UV_READY := .tools/.ready
endif

RUN := .venv/bin
READY := .venv/.ready
COMPILE := --quiet --universal --python-version 3.12 --generate-hashes --no-annotate --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock"

PYTEST_ARGS ?=
LOCK_ARGS ?=

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

demo: $(READY) ## run the default market, print its summary and draw its figures
	$(RUN)/aimarket run study=demo
	$(RUN)/aimarket figures outputs/demo

test: $(READY) ## run all tests (PYTEST_ARGS="-k price" narrows them)
	$(RUN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

test-oldest: $(UV_READY) ## run the tests that other packages decide, on Python 3.12 and the oldest versions supported
	.ci/test_with $(UV) 3.12 requirements/oldest.txt $(PYTEST_ARGS)

test-newest: $(UV_READY) ## the same on Python 3.13 and the newest versions locked
	.ci/test_with $(UV) 3.13 requirements/dev.txt $(PYTEST_ARGS)

lint: $(READY) ## check style, types and import contracts
	$(RUN)/ruff check
	$(RUN)/ruff format --check
	$(RUN)/mypy
	$(RUN)/lint-imports

coverage: $(READY) ## lines and branches of the core that tests run; fails under 95 %
	.ci/coverage $(RUN)/python

mutants: $(READY) .mutants/.ready ## change the ledger and kernels one place at a time: what the tests do not notice is told
	@PYTHONPATH=.mutants/libraries $(RUN)/python -m mutmut run
	@PYTHONPATH=.mutants/libraries $(RUN)/python -m mutmut results

mutants-loops: $(READY) .mutants/.ready ## the same of compiled loops of the users' choice, uncompiled
	.ci/mutate_loops $(RUN)/python .mutants/libraries

format: $(READY) ## put the code into the house style
	$(RUN)/ruff check --fix
	$(RUN)/ruff format

wheel-check: $(READY) ## build the wheel, install it in a clean environment and run it there
	.ci/wheel_check $(UV)

audit: $(READY) .tools/audit/.ready ## licences and known vulnerabilities of what is locked; asks the network
	.tools/audit/bin/python .ci/audit $(RUN)/python requirements/dev.txt

setup: $(READY) ## only set up .venv

lock: $(UV_READY) ## resolve requirements/*.txt again (LOCK_ARGS=--upgrade takes new versions)
	$(UV) pip compile $(LOCK_ARGS) $(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(UV) pip compile $(LOCK_ARGS) $(COMPILE) pyproject.toml -o requirements/runtime.txt
	$(UV) pip compile $(LOCK_ARGS) $(COMPILE) pyproject.toml --extra dev -c requirements/runtime.txt -o requirements/dev.txt
	$(UV) pip compile --upgrade $(COMPILE) pyproject.toml --extra lab --extra mesa --extra slurm --extra studies --extra tests \
		--resolution lowest-direct -o requirements/oldest.txt
	$(UV) pip compile $(LOCK_ARGS) $(COMPILE) requirements/audit.in -o requirements/audit.txt

clean: ## remove environments, caches and builds; outputs/ stays
	rm -rf .coverage* .venv .tools dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .mutants mutants

# `cd /` because .python-version would make pyenv refuse any other python3 than 3.12 here.
.tools/.ready: requirements/uv.txt
	@echo "Fetching uv into .tools/"
	@rm -rf .tools
	@cd / && python3 -m venv "$(CURDIR)/.tools"
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.tools/audit/.ready: requirements/audit.txt | $(UV_READY)
	@rm -rf .tools/audit
	@$(UV) venv --quiet --python "$$(.ci/find_python $(UV))" .tools/audit
	@$(UV) pip sync --quiet --python .tools/audit --require-hashes requirements/audit.txt
	@touch $@

.mutants/.ready: Makefile | $(READY)
	@$(UV) pip install --quiet --python .venv --target .mutants/libraries mutmut==3.8.1
	@touch $@

# The stamp goes first and comes back last: after an interruption the environment is made anew.
$(READY): requirements/dev.txt pyproject.toml .python-version | $(UV_READY)
	@echo "Setting up .venv"
	@if test -f $@ && .venv/bin/python -c "" 2>/dev/null; then rm -f $@; \
		else rm -rf .venv && $(UV) venv --quiet --python "$$(.ci/find_python $(UV))" .venv; fi
	@$(UV) pip sync --quiet --python .venv --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	@touch $@
