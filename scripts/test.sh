#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# test.sh   builds and runs the tests; scripts/setup.sh test goes before.
#
#   release      gcc, every test
#   clang-debug  clang, warnings as errors; all but the tests labelled release-only
#   asan         AddressSanitizer, LeakSanitizer and UBSan; the same
#   tsan         ThreadSanitizer; the same
#
# QUICK=1 runs release alone. All of them run even when one fails; the last line says how it went.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trap step_stop EXIT
cd "$ORTPOOL_TOP"

presets=(release clang-debug asan tsan)
if [ "${QUICK:-0}" != 0 ] && [ -n "${QUICK:-}" ]; then
    presets=(release)
fi

# TSan's fixed shadow addresses do not stand much address randomisation. Where a container forbids
# switching it off, the tests run as they are.
tsan_prefix=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    tsan_prefix=(setarch "$(uname -m)" -R)
fi

# counts PRESET: what ctest wrote about its run, in words.
counts() {
    local head='' all failed skipped
    if [ -f "build/$1/ctest.xml" ]; then
        head=$(head -c 1000 "build/$1/ctest.xml" | tr '\n' ' ')
    fi
    all=$(sed -n 's/.*[[:space:]]tests="\([0-9]*\)".*/\1/p' <<<"$head")
    failed=$(sed -n 's/.*[[:space:]]failures="\([0-9]*\)".*/\1/p' <<<"$head")
    skipped=$(sed -n 's/.*[[:space:]]skipped="\([0-9]*\)".*/\1/p' <<<"$head")
    if [ -z "$all" ]; then
        printf 'did not run'
        return
    fi
    printf '%d passed, %d failed, %d skipped' $((all - failed - skipped)) "$failed" "$skipped"
}

# run_preset PRESET: 0 when it builds and its tests pass. Called where set -e does not reach.
run_preset() {
    local preset=$1 prefix=()
    say
    say "== $preset"
    rm -f "build/$preset/ctest.xml"
    step "Configuring" "" cmake --preset "$preset" -DORTPOOL_TESTS=ON || return 1
    step "Building" "" cmake --build --preset "$preset" || return 1
    if [ "$preset" = tsan ]; then
        prefix=("${tsan_prefix[@]}")
    fi
    "${prefix[@]}" ctest --preset "$preset" --output-junit ctest.xml
}

summary=()
failed=()
for preset in "${presets[@]}"; do
    start=$SECONDS
    run_preset "$preset" || failed+=("$preset")
    summary+=("$(printf '%-12s %s, %d s' "$preset" "$(counts "$preset")" $((SECONDS - start)))")
done

say
say "== summary"
printf '  %s\n' "${summary[@]}"
if [ "${#failed[@]}" != 0 ]; then
    die "FAILED: ${failed[*]} (of ${presets[*]}), $SECONDS s"
fi
say "All tests passed: ${presets[*]}, $SECONDS s"
