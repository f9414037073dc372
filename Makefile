PYTHON ?= python3
BIN := .venv/bin
PIN := $(BIN)/uv pip compile -q --universal --upgrade --generate-hashes --no-header --no-annotate
# The bill says what is pinned; which of it wants which, a list of pins does not tell.
BILL := .venv/audit/bin/python -W ignore -m cyclonedx_py requirements --output-reproducible --pyproject pyproject.toml
SBOM ?= sbom
.DEFAULT_GOAL := help
.PHONY: help run demo test soak mutants browser screenshot vectors openapi check reference prose docs audit sbom security fuzz bench clients format lock clean

help: ## Show what there is to run
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

run: .venv/run ## Start the local stack, prove it, and serve until Ctrl-C
	@exec $(BIN)/python -m local run

demo: .venv/run ## Start the local stack, prove it, and stop
	@exec $(BIN)/python -m local demo

test: .venv/dev .venv/runtimes/all .venv/aws .venv/audit ## Run the whole test suite
	@# More processes than most machines have cores to spare, as the tests wait more than they work.
	$(BIN)/python -m pytest -n 4 --dist loadfile --ignore tests/browser
	@if $(BIN)/python -m tests.browser.chromium; then $(MAKE) browser; else echo "The browser tests were left out."; fi

soak: .venv/dev ## Walk over every fault, then let 200 callers call for MINUTES (10), by SEED (the time)
	@PYTHONPATH=layers/llm_relay $(BIN)/python -m tests.faults.load.soak $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

mutants: .venv/dev ## Break the build on purpose, and show which tests notice
	@$(BIN)/python -m tests.mutations

browser: .venv/dev ## Run the tests of the playground in a Chromium
	@$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/browser

screenshot: .venv/dev ## Renew the picture of the playground in the README
	$(BIN)/python -m tests.browser.screenshot docs/playground.png

vectors: .venv/run ## Copy the test vectors of events/ into the playground
	$(BIN)/python -m local.vectors > functions/playground/page/vectors.js

openapi: .venv/run ## Copy docs/openapi.yaml to the function that serves it
	$(BIN)/python -c 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout, indent=1)' \
		< docs/openapi.yaml > functions/openapi/openapi.json

check: .venv/dev ## Format, lint, types, template, tests: what CI calls
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=layers/llm_relay $(BIN)/lint-imports
	$(BIN)/cfn-lint template.yaml
	$(MAKE) prose docs audit
	$(MAKE) test

reference: .venv/run ## Write the generated parts of docs/reference
	@PYTHONPATH=.:layers/llm_relay $(BIN)/python .ci/reference.py

prose: .venv/uv .ci/prose/node_modules ## Check the words of documents, comments and messages
	@$(BIN)/python .ci/prose.py

docs: .venv/docs ## Build the documentation site into site/, and check its links
	@NO_COLOR=1 .venv/docs/bin/zensical build --clean --strict

.ci/prose/node_modules: .ci/prose/package-lock.json
	@npm ci --silent --prefix .ci/prose
	@touch $@

audit: .venv/audit ## Look up known weaknesses of all that is pinned (STRICT=1: fail if the database is unreachable)
	@.venv/audit/bin/python .ci/audit.py $(if $(STRICT),--strict)

sbom: $(SBOM)/layer.cdx.json $(SBOM)/run.cdx.json ## Write what the layer and the local stack are made of, as CycloneDX

$(SBOM)/layer.cdx.json: layers/dependencies/requirements.txt
$(SBOM)/run.cdx.json: requirements/run.txt
$(SBOM)/%.cdx.json: .venv/audit
	@mkdir -p $(@D)
	@$(BILL) $(filter %.txt,$^) -o $@
	@echo $@

security: .venv/dev .venv/checkov ## Scan the template, as written and as translated, for unsafe settings
	@mkdir -p .aws-sam
	PYTHONPATH=. $(BIN)/python .ci/translated.py > .aws-sam/translated.json
	$(BIN)/cfn-lint .aws-sam/translated.json
	.venv/checkov/bin/checkov -f template.yaml .aws-sam/translated.json

fuzz: .venv/dev .venv/fuzz ## Make up requests, events and bytes for MINUTES (3), from SEED on
	@PYTHONPATH=.:layers/llm_relay:.venv/fuzz $(BIN)/python -m tests.fuzz.run $(or $(MINUTES),3) $(or $(SEED),$$(date +%s))

bench: .venv/run ## Measure every figure that is claimed (QUICK=1: in short)
	$(BIN)/python -m bench $(if $(QUICK),--quick)

clients: .venv/run ## Run the suites of the Node clients against the local stack
	npm ci --prefix tests/clients
	$(BIN)/python -m tests.clients.run

format: .venv/dev ## Put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/uv ## Resolve and pin every dependency again
	$(PIN) --python-version 3.11 requirements/uv.in -o requirements/uv.txt
	$(PIN) --python-version 3.13 layers/dependencies/requirements.in -o layers/dependencies/requirements.txt
	$(PIN) --python-version 3.11 requirements/run.in -c layers/dependencies/requirements.txt -o requirements/run.txt
	$(PIN) --python-version 3.11 requirements/dev.in -c requirements/run.txt -o requirements/dev.txt
	$(PIN) --python-version 3.13 requirements/sam.in -o requirements/sam.txt
	for tool in aws audit checkov docs fuzz; do $(PIN) --python-version 3.11 requirements/$$tool.in -o requirements/$$tool.txt || exit 1; done
	for peer in runtime guide openai; do $(PIN) --python-version 3.13 requirements/bench/$$peer.in -c requirements/run.txt -o requirements/bench/$$peer.txt || exit 1; done
	for peer in litellm proxy; do $(PIN) --python-version 3.13 --override requirements/bench/overrides.txt requirements/bench/$$peer.in -o requirements/bench/$$peer.txt || exit 1; done

clean: ## Remove everything that was created here
	rm -rf .venv .aws-sam sbom site .ci/prose/node_modules tests/clients/node_modules .mypy_cache .ruff_cache .pytest_cache .relay-local*

.venv/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit("llm-relay needs Python 3.11 or newer; name one with: make PYTHON=python3.13 run" if sys.version_info < (3, 11) else 0)'
	@echo "Preparing .venv (once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

# `install`, not `sync`: the two lists agree on every version, so each only adds to the other.
.venv/run .venv/dev: .venv/%: requirements/%.txt .venv/uv .venv/relay
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r $<
	@touch $@

# Tools whose pins fit no other list: an environment for each.
.venv/aws .venv/audit .venv/checkov .venv/docs: .venv/%: requirements/%.txt .venv/uv
	@$(BIN)/uv venv -q --clear --python $(BIN)/python $@
	@$(BIN)/uv pip install -q --compile-bytecode --python $@/bin/python --require-hashes -r $<
	@touch $@

# The coverage-guided fuzzer, for Linux alone; nothing else may meet it.
.venv/fuzz: requirements/fuzz.txt .venv/uv
	@if [ "$$(uname)" = Linux ]; then $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes --target $@ -r $<; fi
	@mkdir -p $@ && touch $@

# The operator's command line. Paths given to it are the caller's: it finds the project itself.
.venv/relay: .venv/uv Makefile
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/$(BIN)/python" -P -m cli "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $(BIN)/relay
	@chmod +x $(BIN)/relay && touch $@

# Every release of Lambda's runtime that the streaming shim is tested on; they exist for Linux alone.
.venv/runtimes/all: $(wildcard requirements/awslambdaric/*.txt) .venv/uv
	@if [ "$$(uname)" = Linux ]; then for pin in requirements/awslambdaric/*.txt; do \
		$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --require-hashes \
			--target .venv/runtimes/$$(basename $$pin .txt) -r $$pin || exit 1; done; fi
	@mkdir -p $(@D) && touch $@
