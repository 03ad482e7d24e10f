# SPDX-License-Identifier: MIT
#
# The short way in; CMakePresets.json has the builds, scripts/ the work.

.PHONY: help demo test clean

help:
	@echo "make demo   set up, build, and predict the bundled sample swipes"
	@echo "make test   set up, build, and run all tests (QUICK=1: the quick ones)"
	@echo "make clean  remove the build folder"

demo:
	@scripts/setup.sh demo
	@scripts/demo.sh

test:
	@scripts/setup.sh test
	@QUICK="$(QUICK)" PHASES="$(PHASES)" scripts/test.sh

clean:
	rm -rf build
