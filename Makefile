PYTHON ?= python3
BIN := .venv/bin
# SAM needs its own environment first on the PATH: it builds with the python3.13 that it finds there.
SAM_PATH := PATH="$(CURDIR)/.venv/sam/bin:$$PATH" SAM_CLI_TELEMETRY=0
SAM = $(SAM_PATH) PYTHONPATH=layers/llm_relay exec $(BIN)/python
PIN := $(BIN)/uv pip compile -q --universal --upgrade --generate-hashes --no-header --no-annotate
# The bill lists the pinned packages, without their dependencies: a list of pins has none.
BILL := .venv/audit/bin/python -W ignore -m cyclonedx_py requirements --output-reproducible --pyproject pyproject.toml
SBOM ?= sbom
.DEFAULT_GOAL := help
.PHONY: help run demo test soak mutants browser screenshot recording vectors openapi invoke start-api sam-backends check reference prose docs audit sbom security fuzz bench clients format lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

run: .venv/run ## Start the local stack, test it, and serve until Ctrl-C
	@exec $(BIN)/python -m local run

demo: .venv/run ## Start the local stack, test it, and stop
	@exec $(BIN)/python -m local demo

invoke: .aws-sam/build/template.yaml ## Invoke a function with `sam local` and the simulator: EVENT=events/...
	@$(SAM) .ci/sam_functions.py invoke $(EVENT)

start-api: .aws-sam/build/template.yaml ## Serve the API with `sam local` and the simulator on PORT (3000)
	@$(SAM) .ci/sam_functions.py start-api $(or $(PORT),3000)

sam-backends: .aws-sam/build/template.yaml ## Run the simulator and AWS services for your own `sam local` commands
	@$(SAM) .ci/sam_backends.py

test: .venv/dev .venv/runtimes/all .venv/aws .venv/audit ## Run the whole test suite
	@# More processes than cores: the tests wait more than they compute.
	$(BIN)/python -m pytest -n 4 --dist loadfile --ignore tests/browser
	@if $(BIN)/python -m tests.browser.chromium; then $(MAKE) browser; else echo "No Chromium found: skipped the browser tests."; fi

soak: .venv/dev ## Inject every fault once, then run 200 concurrent callers for MINUTES (10), with SEED (the time)
	@PYTHONPATH=layers/llm_relay $(BIN)/python -m tests.faults.load.soak $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

mutants: .venv/dev ## Introduce bugs on purpose, and list the tests that find them
	@$(BIN)/python -m tests.mutations

browser: .venv/dev ## Run the tests of the playground in a Chromium
	@$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/browser

screenshot: .venv/dev ## Take the screenshot of the playground for the README
	$(BIN)/python -m tests.browser.screenshot docs/playground.png

recording: .venv/run .venv/recording ## Record `make run` and a streamed answer for the README
	$(BIN)/python .ci/record.py .venv/recording/demo.cast
	.venv/recording/bin/termtosvg render .venv/recording/demo.cast docs/demo.svg -t window_frame -m 120 -M 3000

vectors: .venv/run ## Copy the test vectors of events/ into the playground
	$(BIN)/python -m local.vectors > functions/playground/page/vectors.js

openapi: .venv/run ## Copy docs/openapi.yaml to the function that serves it
	$(BIN)/python -c 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout, indent=1)' \
		< docs/openapi.yaml > functions/openapi/openapi.json

check: .venv/dev ## Check format, lint, types, template, documents and tests, as CI does
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

audit: .venv/audit ## Look up known vulnerabilities of the pinned packages (STRICT=1: fail if the database is unreachable)
	@.venv/audit/bin/python .ci/audit.py $(if $(STRICT),--strict)

sbom: $(SBOM)/layer.cdx.json $(SBOM)/run.cdx.json ## Write the bills of materials of the layer and the local stack, as CycloneDX

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

fuzz: .venv/dev .venv/fuzz ## Fuzz with generated requests, events and bytes for MINUTES (3), starting at SEED
	@PYTHONPATH=.:layers/llm_relay:.venv/fuzz $(BIN)/python -m tests.fuzz.run $(or $(MINUTES),3) $(or $(SEED),$$(date +%s))

bench: .venv/run ## Measure every published figure (QUICK=1: a short run)
	$(BIN)/python -m bench $(if $(QUICK),--quick)

clients: .venv/run ## Run the suites of the Node clients against the local stack
	npm ci --prefix tests/clients
	$(BIN)/python -m tests.clients.run

format: .venv/dev ## Format the code, and fix what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/uv ## Resolve and pin every dependency
	$(PIN) --python-version 3.11 requirements/uv.in -o requirements/uv.txt
	$(PIN) --python-version 3.13 layers/dependencies/requirements.in -o layers/dependencies/requirements.txt
	$(PIN) --python-version 3.11 requirements/run.in -c layers/dependencies/requirements.txt -o requirements/run.txt
	$(PIN) --python-version 3.11 requirements/dev.in -c requirements/run.txt -o requirements/dev.txt
	$(PIN) --python-version 3.13 requirements/sam.in -o requirements/sam.txt
	for tool in aws audit checkov docs fuzz recording; do $(PIN) --python-version 3.11 requirements/$$tool.in -o requirements/$$tool.txt || exit 1; done
	for peer in runtime guide openai; do $(PIN) --python-version 3.13 requirements/bench/$$peer.in -c requirements/run.txt -o requirements/bench/$$peer.txt || exit 1; done
	for peer in litellm proxy; do $(PIN) --python-version 3.13 --override requirements/bench/overrides.txt requirements/bench/$$peer.in -o requirements/bench/$$peer.txt || exit 1; done

clean: ## Remove all environments, builds and logs
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
.venv/aws .venv/audit .venv/checkov .venv/docs .venv/recording: .venv/%: requirements/%.txt .venv/uv
	@$(BIN)/uv venv -q --clear --python $(BIN)/python $@
	@$(BIN)/uv pip install -q --compile-bytecode --python $@/bin/python --require-hashes -r $<
	@touch $@

# The SAM CLI, with the Python of the functions; `venv`, as `sam build` needs pip.
.venv/sam: requirements/sam.txt .venv/uv .ci/function_python
	@"$$(.ci/function_python)" -m venv --clear $@
	@$(BIN)/uv pip install -q --compile-bytecode --python $@/bin/python --require-hashes -r $<
	@touch $@

.aws-sam/build/template.yaml: .venv/sam .venv/dev template.yaml samconfig.toml $(shell find functions layers -type f ! -name '*.pyc')
	@echo "Running sam build ..."
	@mkdir -p .aws-sam
	@$(SAM_PATH) sam build >.aws-sam/build.log 2>&1 || { cat .aws-sam/build.log; exit 1; }
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
