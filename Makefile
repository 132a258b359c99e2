# Every target sets itself up: `make run` in a fresh checkout is enough.
#   make run            the app on http://127.0.0.1:7860 (HOST=, PORT= change it)
#   make test           every fast test, browser included; make test-all: the slow ones
#   make check          format, lint, types
#   make bench          the app against bare diffusers, drafts against takes, as ratios
#   make bench-gpu      hosted sizes with random weights on a card: time over its floor, memory for each policy
#   make train, eval    the embedded model; FULL=1 judges it on three times as many programs
#   make scaling        four sizes on the same clips, and the law of their losses; MINUTES= for all together
#   make ablations      what learns fastest, one thing changed at a time; MINUTES= for all together
#   make calibrate      what subtle, mild and strong mean
#   make finetune CLIPS=folder    a LoRA from captioned clips; OUT=, TRIGGER="some words", STEPS=, RANK= change it
#   make space SPACE=user/name, make publish-model MODEL=user/name    onto the Hub; DRY_RUN=1 only lists
# TORCH_INDEX=URL takes torch from another index, such as the one with builds for processors only.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install --disable-pip-version-check --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: run test test-all check bench bench-gpu train eval scaling ablations calibrate finetune space publish-model browser

run: $(VENV)/.installed
	@$(BIN)/python app.py

test: $(VENV)/.installed-dev browser
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "not slow" -n 2 --dist loadfile

test-all: $(VENV)/.installed-dev browser
	@$(BIN)/python -m pytest -q -m slow

check: $(VENV)/.installed-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(VENV)/.installed
	@PYTHONPATH=tests $(BIN)/python -m tests.bench

bench-gpu: $(VENV)/.installed
	@$(BIN)/python -m tests.bench_gpu

# glibc gives large tensors back to the system after every step and pays for it in page faults, a third of the time.
HEAP := MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456

train: $(VENV)/.installed
	@$(HEAP) $(BIN)/python -m pipeline.tabletop.train
	@$(HEAP) $(BIN)/python -m pipeline.tabletop.probe

eval: $(VENV)/.installed
	@$(HEAP) $(BIN)/python -m pipeline.tabletop.evaluate $(if $(FULL),--full)

scaling: $(VENV)/.installed
	@$(HEAP) $(BIN)/python -m pipeline.tabletop.scaling $(if $(MINUTES),--minutes $(MINUTES))

ablations: $(VENV)/.installed
	@$(HEAP) $(BIN)/python -m pipeline.tabletop.ablations $(if $(MINUTES),--minutes $(MINUTES))

calibrate: $(VENV)/.installed
	@$(BIN)/python -m pipeline.measures.calibrate

finetune: $(VENV)/.installed
	@test -n "$(CLIPS)" || { echo "Name a folder of captioned clips: make finetune CLIPS=folder" >&2; exit 2; }
	@$(HEAP) $(BIN)/python -m pipeline.tabletop.finetune "$(CLIPS)" $(if $(OUT),-o "$(OUT)") \
		$(if $(TRIGGER),--trigger "$(TRIGGER)") $(if $(STEPS),--steps $(STEPS)) $(if $(RANK),--rank $(RANK))

space: $(VENV)/.installed
	@$(BIN)/python -m pipeline.publish space $(or $(SPACE),$(error Name it: make space SPACE=user/name)) $(if $(DRY_RUN),--dry-run)

publish-model: $(VENV)/.installed
	@$(BIN)/python -m pipeline.publish model $(or $(MODEL),$(error Name it: make publish-model MODEL=user/name)) $(if $(DRY_RUN),--dry-run)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || \
		{ echo "Onetake needs Python 3.11 or 3.12. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "Python's venv module is missing. Install it: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing what Onetake needs; the first time this takes some minutes."
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@$(PIP) -r requirements-dev.txt
	@touch $@

# The browser tests drive Debian's Chromium. Where it cannot be had, they say so and are skipped.
browser:
	@command -v chromium >/dev/null || sh tests/install_chromium || \
		echo "NO BROWSER: the browser tests are going to be skipped. Install it: apt-get install chromium" >&2
