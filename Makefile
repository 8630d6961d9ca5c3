# SPDX-License-Identifier: MIT
# The commands of every day; the work is done by CMake and the scripts named here.
BUILD ?= build
SANITIZE_BUILD ?= build-sanitize
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
SCRIPT ?= server-scripts/quickstart.lua
LUA_FILES = lua server-scripts examples tests native/gen

.PHONY: help deps build run test bench simulate chaos format lint install clean

help:
	@echo "make run       install what is missing, build, start a server on 127.0.0.1:2181"
	@echo "make test      run every test (ends in: N passed, M failed)"
	@echo "make bench     measure beside a do-nothing server and Apache ZooKeeper"
	@echo "make simulate SEEDS=1000   run the simulator over many seeds"
	@echo "make chaos ARGS='--seed 7'   ensembles of real processes under faults, checked"
	@echo "make build | install PREFIX=/usr/local | format | lint | deps | clean"

deps:
	@.ci/deps test

build:
	@.ci/deps build
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release -DMK_TESTS=OFF > /dev/null
	@cmake --build $(BUILD) -j $(JOBS) -- --quiet

run: build
	@exec $(BUILD)/moonkeeper run $(SCRIPT) $(ARGS)

# Two builds: optimised as users get it, and with the address and undefined-behaviour
# sanitizers for unit tests, simulator and replayed fuzz corpora.
test-build: deps
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release -DMK_TESTS=ON > /dev/null
	@cmake --build $(BUILD) -j $(JOBS) --target moonkeeper moonkeeper-sim zab_sim \
	  zab_sim_mutants bench_load bench_nothing test_c_client -- --quiet
	@cmake -S . -B $(SANITIZE_BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Debug -DMK_SANITIZE=ON > /dev/null
	@cmake --build $(SANITIZE_BUILD) -j $(JOBS) -- --quiet

test: test-build
	@/usr/bin/python3 tests/run.py --build $(BUILD) --sanitize-build $(SANITIZE_BUILD) $(SUITES)

SEEDS ?= 1000
simulate: test-build
	@$(BUILD)/sim/moonkeeper-sim --seeds $(SEEDS)
	@$(BUILD)/sim/zab_sim --seeds $(SEEDS)

chaos: test-build
	@/usr/bin/python3 tests/chaos/forge.py
	@/usr/bin/python3 tests/chaos/run.py --build $(BUILD) $(ARGS)

bench: test-build
	@/usr/bin/python3 tests/bench/bench.py --build $(BUILD) $(ARGS)

format:
	@clang-format -i $$(git ls-files '*.c' '*.h')

lint: deps
	@clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')
	@luacheck --quiet $(LUA_FILES)

install: build
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	@rm -rf $(BUILD) $(SANITIZE_BUILD)
