#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# coverage.sh [BUILD]   says which lines and branches the tests ran, and judges: src/memory must be at
# 100 % of both, cli at 90 and 84 %, every other room at 90 %.
#
# BUILD is a build folder made with ORTPOOL_COVERAGE whose tests have run; without it,
# build/coverage is built and tested first. The report with the sources is BUILD/coverage/index.html.
#
# What is not counted, and why:
#   - branches of lines with assert(): the side that aborts is a bug, not a path
#   - lines that carry GCOVR_EXCL_...: each says its reason where it stands

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trap step_stop EXIT
cd "$ORTPOOL_TOP"

command -v gcovr >/dev/null || die "gcovr was not found. On Debian: apt-get install gcovr (or scripts/setup.sh test-all)"

build=${1:-build/coverage}
if [ $# = 0 ]; then
    step "Configuring" "" cmake --preset coverage -DORTPOOL_TESTS=ON || exit 1
    step "Building" "" cmake --build --preset coverage || exit 1
    find "$build" -name '*.gcda' -delete
    ctest --preset coverage || die "a test failed, so nothing is said about coverage"
fi
[ -f "$build/CMakeCache.txt" ] || die "$build is no build folder"
[ -n "$(find "$build" -name '*.gcda' -print -quit)" ] ||
    die "$build has no counts: it was not built with ORTPOOL_COVERAGE, or no test has run"

mkdir -p "$build/coverage"
step "Reading the counts" "" gcovr --root . --object-directory "$build" \
    --filter 'src/' --filter 'cli/' \
    --exclude-branches-by-pattern '.*\bassert\(.*' \
    --json "$build/coverage/counts.json" \
    --html-details "$build/coverage/index.html" "$build" || exit 1
python3 scripts/coverage.py "$build/coverage/counts.json"
say "With the sources: $build/coverage/index.html"
