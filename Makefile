# SPDX-License-Identifier: MIT
#
# The short way in; CMakePresets.json has the builds, scripts/ the work.

.PHONY: help demo test test-all test-world test-ort-versions bench clean

help:
	@echo "make demo        set up, build, and predict the bundled sample swipes"
	@echo "make test        set up, build, and run the tests of the release build; some five minutes"
	@echo "make test-all    all other tests: sanitizers, coverage, fuzzing, mutation, browser, training;"
	@echo "                 three quarters of an hour (PHASES=\"asan fuzz\": those alone)"
	@echo "make test-world  the tests that need package registries: public models, other releases of"
	@echo "                 ONNX Runtime, arm64 in an emulator; three quarters of an hour"
	@echo "make test-ort-versions   of these, the releases alone (VERSIONS=\"1.18.0-x86_64\": those alone)"
	@echo "make bench       measure everything; writes BENCHMARKS.md and the README's tables"
	@echo "                 (TABLES=1: those tables alone; QUICK=1: a short run into build/bench)"
	@echo "make clean       remove the build folder"

demo:
	@scripts/setup.sh demo
	@scripts/demo.sh

test:
	@scripts/setup.sh test
	@scripts/test.sh test

test-all:
	@scripts/setup.sh test-all
	@PHASES="$(PHASES)" scripts/test.sh test-all

test-world:
	@scripts/setup.sh test-world
	@scripts/test.sh test-world
	@scripts/test_ort_versions.sh

test-ort-versions:
	@scripts/test_ort_versions.sh --check $(VERSIONS)
	@scripts/setup.sh test-world
	@scripts/test_ort_versions.sh $(VERSIONS)

bench:
	@scripts/setup.sh bench
	@QUICK="$(QUICK)" TABLES="$(TABLES)" scripts/bench.sh

clean:
	rm -rf build
