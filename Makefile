# The two commands to know: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Some machines have it set, and then each of our commands compiles itself first.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help bootstrap demo test lint unit sanity lab-up lab-down lab-status lab-clean contract e2e molecule bench lock docs

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

bootstrap:
	@tools/bootstrap

demo: bootstrap ## from nothing to n8n over HTTPS, on the lab
	@$(PY) -m tests.e2e.demo

test: ## every test, on a fresh machine too
	@tools/test

lint: bootstrap ## ruff, mypy, yamllint, ansible-lint (production)
	@tools/lint

unit: bootstrap ## tests that need no lab
	@$(PY) -m pytest tests/unit -q -n 3 --dist loadfile

sanity: bootstrap ## ansible-test sanity on a copy laid out as a collection
	@tools/sanity

lab-up: bootstrap ## start the lab (safe to repeat)
	@$(PY) -m tests.lab up

lab-down: bootstrap ## stop the lab and remove what it made
	@$(PY) -m tests.lab down

lab-status: bootstrap ## what of the lab answers
	@$(PY) -m tests.lab status

lab-clean: bootstrap ## remove the lab's cache as well
	@$(PY) -m tests.lab clean

contract: bootstrap ## Portainer's contract against the stand-in, or a real one (LIVCHAT_PORTAINER_URL)
	@$(PY) -m pytest tests/contract -q

e2e: lab-up ## the main story on the lab, with assertions on the server
	@tools/e2e

molecule: lab-up ## molecule's default scenario on one lab VPS
	@molecule test

bench: lab-up ## setup, install and redeploy beside plain shell scripts
	@$(PY) -m tests.bench

docs: bootstrap ## the reference page and the roles of apps, from their sources
	@$(PY) -m livchat_cli.reference
	@$(PY) tools/app_roles.py

lock: bootstrap ## resolve the requirements anew
	@for f in installer lock awx runtime mcp-v1 openapi-client; do \
		in=requirements/$$f.in; extra=; [ $$f = lock ] && in=pyproject.toml && extra='--extra dev'; \
		[ $$f = runtime ] && in=pyproject.toml && extra='--constraint requirements/lock.txt'; \
		[ $$f = awx ] && extra=--no-deps; \
		.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
			$$extra $$in -o requirements/$$f.txt; done
