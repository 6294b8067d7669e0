# `make help` says what there is. Everything runs in .venv, which is made on first use.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Every download is compared with the hashes of the lock files; mimbench itself is installed as it stands here.
EDITABLE := $(PIP) --no-deps --no-build-isolation --editable .
# Without a GPU, TORCH=cpu takes a PyTorch without CUDA, a sixth of the download, from TORCH_INDEX: the index of CPU builds
# that PyTorch's installation page names, or a mirror of it.
TORCH ?= cuda
TORCH_INDEX ?=
# What `make install` adds: hub jpeg optuna shards slurm tensorboard docs.
EXTRAS ?=
empty :=
space := $(empty) $(empty)
comma := ,
# Three seeds give intervals over seeds; one is enough for a look.
SEEDS ?= 0
# Half of the epochs of README's table, in half of the time; make demo EPOCHS=12 SEEDS=0,1,2 makes that table again.
EPOCHS ?= 6
# Test processes; each takes a core and half a gigabyte.
WORKERS ?= 2
LOCK := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade --quiet
# Compilers cannot look through the tests' checks of shapes and types, and warn of much.
PLAINLY := -o addopts=--import-mode=importlib -W default
DEFAULT := -m "not (slow or slurm or faults or browser or gpu)"

.PHONY: help install demo ablation gpu gpu-wheels gpu-rehearsal test test-cluster test-browser test-slow test-gpu test-oldest lint types format docs bench audit lock bump clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: .venv/core ## mimbench in .venv; EXTRAS="hub slurm" adds packages, TORCH=cpu leaves CUDA out
	@if [ -n "$(strip $(EXTRAS))" ]; then \
		$(BIN)/python tools/lock.py constraints requirements.lock > .venv/constraints.txt; \
		$(PIP) --constraint .venv/constraints.txt --no-build-isolation \
			--editable ".[$(subst $(space),$(comma),$(strip $(EXTRAS)))]"; fi
	@echo "Installed: $(BIN)/mimbench. Next: make demo, or $(BIN)/mimbench run experiment=demo data=digits"

demo: .venv/core ## four methods and the untrained encoder on two datasets, then the report (about 12 minutes on two cores)
	@status=0; $(BIN)/mimbench run -m experiment=fashion method=untrained,mae,deepmim,localmim,mirl \
		data=fashion,photos seed=$(SEEDS) budget.epochs=$(EPOCHS) || status=$$?; \
	$(BIN)/mimbench report runs/fashion; exit $$status

ablation: .venv/core ## make ablation NAME=mae_mask_ratio ARGS="data=photos seed=0,1,2": plan, sweep, report
	$(BIN)/mimbench plan -m +ablation=$(NAME) $(ARGS)
	@status=0; $(BIN)/mimbench run -m +ablation=$(NAME) $(ARGS) || status=$$?; \
	$(BIN)/mimbench report runs/$(NAME); exit $$status

# The machine's own Python and packages, with the wheels of build/gpu-kit where they are: such a machine may have no network.
PYTHON ?= python3
STAGE ?= correct
STAGES := correct fast science
FASHION ?= /usr/share/datasets/fashion-mnist
OUT ?= build/gpu
RUN_STAGE := PYTHONPATH="$(CURDIR)/src:$(CURDIR):$(CURDIR)/build/gpu-site$${PYTHONPATH:+:$$PYTHONPATH}"

gpu: ## on an NVIDIA GPU, each under nine minutes, from where it stopped: make gpu STAGE=correct OUT=build/gpu
	@if compgen -G "build/gpu-kit/*.whl" >/dev/null; then $(PYTHON) -m pip install --quiet --no-index --no-deps --no-compile \
		--disable-pip-version-check --upgrade --target build/gpu-site build/gpu-kit/*.whl; fi
	@$(RUN_STAGE) $(PYTHON) -m benchmarks.gpu $(STAGE) --output $(OUT) $(ARGS)

# antlr4-python3-runtime has no published wheel; it is built here.
# What the training path needs beside PyTorch, Lightning and SciPy; `make gpu-wheels WHEELS="filelock ..."` takes others.
WHEELS ?= hydra-core omegaconf antlr4-python3-runtime timm jaxtyping wadler-lindig simplejpeg
WHEELS_PYTHON ?= 3.12
PLATFORMS := $(foreach glibc,2_28 2_27 2_17,--platform manylinux_$(glibc)_x86_64) --platform manylinux2014_x86_64

gpu-wheels: .venv/bin/python ## build/gpu-kit: wheels for an x86-64 machine without a network, with Python WHEELS_PYTHON
	@mkdir -p build/gpu-kit && rm -f build/gpu-kit/*.whl
	@for name in $(WHEELS); do \
		wanted=$$(grep -oE "^$$name==[^ ]+" requirements.lock) || { echo "requirements.lock has no $$name." >&2; exit 2; }; \
		if [ $$name = antlr4-python3-runtime ]; then how=wheel; else \
			how="download --only-binary=:all: --implementation cp --python-version $(WHEELS_PYTHON) $(PLATFORMS)"; fi; \
		(cd build/gpu-kit && $(CURDIR)/$(BIN)/python -m pip $$how --quiet --disable-pip-version-check --no-deps $$wanted); done
	@if test -d $(FASHION); then \
		(cd $(FASHION) && tar --transform 's,^,FashionMNIST/raw/,' -cf $(CURDIR)/build/gpu-kit/fashion_mnist.tar *ubyte*); else \
		echo "Fashion-MNIST is not in $(FASHION): make gpu-wheels FASHION=the folder of its files" >&2; fi
	@ls -l build/gpu-kit

gpu-rehearsal: .venv/dev ## the same with tiny sizes on the CPU, in a temporary folder (2 minutes)
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; for stage in $(STAGES); do \
		OMP_NUM_THREADS=1 $(RUN_STAGE) $(BIN)/python -m benchmarks.gpu $$stage --rehearsal --output "$$folder/out" \
			--work "$$folder/work" $(ARGS) || exit 1; done

test: .venv/dev ## the default test suite, offline (a few minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) $(DEFAULT)

test-cluster: .venv/dev ## on a two-node SLURM of its own, and with kills and full disks (needs root and Debian's SLURM)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slurm
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -m faults

test-browser: .venv/dev ## reports in a headless Chromium (needs Debian's)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser

test-slow: .venv/dev ## what takes long: full-size models, notebooks
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -m "slow and not (slurm or faults or browser or gpu)"

test-gpu: .venv/dev ## on an NVIDIA GPU: the golden numbers, steps, waits, memory, commands
	$(BIN)/python -m pytest $(PLAINLY) tests/golden --device cuda
	$(BIN)/python -m pytest $(PLAINLY) -m gpu tests/gpu

test-oldest: ## the default test suite with the oldest versions that pyproject.toml allows, on Python 3.11
	python3.11 -m venv .venv-oldest
	grep -oE '"[A-Za-z0-9_.-]+(\[[a-z]+\])?>=[0-9.]+' pyproject.toml | sed -E 's/"|\[[a-z]+\]//g; s/>=/==/' > .venv-oldest/oldest.txt
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --constraint .venv-oldest/oldest.txt \
		--editable '.[dev]'
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -n $(WORKERS) -o filterwarnings=default $(DEFAULT)

lint: .venv/dev ## ruff and the import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: .venv/dev ## pyright
	$(BIN)/pyright

format: .venv/dev ## ruff, in place
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/dev ## the documentation's site, in site/
	$(BIN)/mkdocs build --strict

bench: .venv/core ## how fast this machine trains and loads: benchmarks/results and docs/about/benchmarks.md (needs an idle machine)
	$(BIN)/mimbench bench all --output benchmarks/results
	$(BIN)/mimbench bench report --results benchmarks/results --output docs/about/benchmarks.md

audit: .venv/dev ## known vulnerabilities of the locked packages (needs a network)
	$(PIP) 'pip-audit>=2.9'
	$(BIN)/python -m pip_audit --disable-pip --require-hashes -r requirements.lock

lock: .venv/dev ## new lock files with the newest versions that pyproject.toml allows (needs a network)
	$(PIP) 'uv>=0.9'
	printf 'hatchling==1.27.0\neditables\n' > .venv/build.in
	$(BIN)/uv pip compile pyproject.toml .venv/build.in $(LOCK) -o requirements-core.lock
	$(BIN)/uv pip compile pyproject.toml .venv/build.in $(LOCK) --all-extras -c requirements-core.lock -o requirements.lock

bump: .venv/bin/python ## make bump VERSION=0.2.0: a new version in package, citation and changelog
	@$(BIN)/python tools/bump.py $(VERSION)

clean: ## removes the environments, not your runs
	rm -rf .venv .venv-oldest

.venv/bin/python:
	@for python in python3 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then \
			$$python -m venv .venv; exit 0; fi; done; \
	echo "mimbench needs Python 3.11, 3.12 or 3.13 (with venv); none was found on PATH." >&2; exit 2

# $(call install,LOCK,DOWNLOAD,DISK,DOWNLOAD without CUDA,DISK without CUDA): all of a lock file. The CPU builds of PyTorch
# have hashes of their own, so those two are taken by version; everything else is compared with the lock file.
define install
	@case "$(TORCH)" in \
	cuda) echo "Installing into .venv: downloads about $(2), takes $(3) on the disk, mostly CUDA. On a machine without a"; \
		echo "GPU, TORCH=cpu TORCH_INDEX=URL needs $(4) and $(5) (docs/start/install.md)."; \
		$(PIP) --require-hashes -r $(1);; \
	cpu) if [ -z "$(TORCH_INDEX)" ]; then \
			echo "TORCH=cpu needs TORCH_INDEX=URL, the index of CPU builds that PyTorch's installation page names." >&2; exit 2; fi; \
		echo "Installing into .venv without CUDA: downloads about $(4), takes $(5) on the disk."; \
		$(BIN)/python tools/lock.py torch $(1) > .venv/torch.txt; \
		$(BIN)/python tools/lock.py without-cuda $(1) > .venv/without-cuda.txt; \
		$(PIP) --no-deps --index-url "$(TORCH_INDEX)" -r .venv/torch.txt || { \
			echo "$$(paste -sd ' ' .venv/torch.txt) cannot be installed from $(TORCH_INDEX)." >&2; \
			echo "Name another index, TORCH_INDEX=URL, or leave TORCH=cpu out." >&2; exit 2; }; \
		$(PIP) --no-deps --require-hashes -r .venv/without-cuda.txt;; \
	*) echo "TORCH is '$(TORCH)'; expected cpu or cuda." >&2; exit 2;; esac
	@$(EDITABLE)
endef

.venv/core: .venv/bin/python pyproject.toml requirements-core.lock
	$(call install,requirements-core.lock,3 GB,6 GB,0.5 GB,2 GB)
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml requirements.lock
	$(call install,requirements.lock,3 GB,7 GB,0.7 GB,3 GB)
	@touch $@ .venv/core
