# SPDX-License-Identifier: MIT
#
# The short way in; CMakePresets.json has the builds, scripts/ the work.

.PHONY: help demo test bench test-ort-versions clean

help:
	@echo "make demo   set up, build, and predict the bundled sample swipes"
	@echo "make test   set up, build, and run all tests (QUICK=1: the quick ones)"
	@echo "make bench  measure everything; writes BENCHMARKS.md and the README's tables"
	@echo "            (TABLES=1: those tables alone; QUICK=1: a short run into build/bench)"
	@echo "make test-ort-versions   the tests on ONNX Runtime 1.18 to 1.32 and on arm64 (emulated); half an hour"
	@echo "make clean  remove the build folder"

demo:
	@scripts/setup.sh demo
	@scripts/demo.sh

test:
	@scripts/setup.sh test
	@QUICK="$(QUICK)" PHASES="$(PHASES)" scripts/test.sh

bench:
	@scripts/setup.sh bench
	@QUICK="$(QUICK)" TABLES="$(TABLES)" scripts/bench.sh

test-ort-versions:
	@scripts/setup.sh versions
	@scripts/test_ort_versions.sh $(VERSIONS)

clean:
	rm -rf build
