# The bootstrap, and nothing more: two commands that set up all they need on a fresh machine.
#   make demo   deploys the system `salon` to an embedded PostgreSQL
#   make test   runs the whole suite against real servers that it starts itself
# From then on: .venv/bin/invoke --list

.DEFAULT_GOAL := help
.PHONY: help demo test

help:
	@sed -n 's/^#   //p' $(MAKEFILE_LIST)

demo: .venv/.installed-demo
	@.venv/bin/invoke demo

test: .venv/.installed-test
	@bootstrap/system-packages
	@.venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# Installed again only when what is to be installed has changed.
.venv/.installed-%: pyproject.toml bootstrap/venv
	@bootstrap/venv $*
	@touch $@
