# Two commands for everybody: `make demo` and `make test`. Needs Python 3.11+, python3-venv and make; no root, no network but PyPI.
VENV ?= .venv
BIN := $(VENV)/bin
CASE ?= demo-case
# compiled modules are kept: every confined child starts anew, and would else compile them all
unexport PYTHONDONTWRITEBYTECODE
.PHONY: demo test test-long setup setup-dev lint lock verifier clean

setup: $(VENV)/.ready
$(VENV)/.ready: requirements.lock pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q src/headwater # confined children write nothing: what they alone import they would compile each time
	@touch $@

setup-dev: $(VENV)/.ready-dev
$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: setup
	rm -rf $(CASE)
	$(BIN)/headwater investigate sample/web01.E01 --case $(CASE) --authority sample/authority.txt \
	  --authority-no "示例-2026-001" --authority-by "示例单位" --authority-scope "web01 系统盘" --authority-until 2099-12-31 \
	  --examiner "张三" --examiner "李四" --lang both

lint: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n 3 --dist loadfile -m "not long" tests

test-long: setup-dev
	HEADWATER_LONG=1 $(BIN)/python -m pytest -n 2 tests

verifier: setup
	mkdir -p dist
	$(BIN)/python -m headwater.procedure.verifier dist/headwater-verify.pyz

lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml setuptools.in -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml setuptools.in --group dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) demo-case build dist src/*.egg-info
