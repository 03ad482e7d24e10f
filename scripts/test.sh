#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# test.sh test|test-all|test-world   builds and runs the tests; `scripts/setup.sh` with the same word goes before.
#
# test        release      gcc, optimised: every test but the long ones
#
# test-all    long         the long tests of the release build; `make test` has run the others
#             clang-debug  clang, warnings as errors: the units
#             asan         AddressSanitizer, LeakSanitizer and UBSan: all but the tests labelled release-only, and the
#                          stress tests for longer
#             tsan         ThreadSanitizer: tests with several threads, and the stress tests for longer
#             soft         a build that cannot throw (ORTPOOL_THROW=OFF): the tests of sessions and of refusals
#             coverage     gcc, debug, counting lines and branches: all but release-only; scripts/coverage.sh judges
#             fuzz         clang and libFuzzer: each target for ORTPOOL_FUZZ_SECONDS (15) from its corpus
#             mutation     chosen lines of the library broken one at a time: a test must fail for each
#
# test-world  world        tests that fetch packages when they run
#
# PHASES="asan fuzz" runs those of a tier alone. All of them run even when one fails; the end says how each went.
# A test that leaves a file in the source tree fails the run.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trap step_stop EXIT
cd "$ORTPOOL_TOP"

case ${1:-} in
test) all_phases=(release) ;;
test-all) all_phases=(long clang-debug asan tsan soft coverage fuzz mutation) ;;
test-world) all_phases=(world) ;;
*)
    say "usage: scripts/test.sh test|test-all|test-world" >&2
    exit 2
    ;;
esac
phases=("${all_phases[@]}")
if [ -n "${PHASES:-}" ]; then
    read -ra phases <<<"$PHASES"
    for phase in "${phases[@]}"; do
        case " ${all_phases[*]} " in
        *" $phase "*) ;;
        *) die "PHASES: $1 has no phase '$phase'; there are: ${all_phases[*]}" ;;
        esac
    done
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

# The files of the source tree that git does not know, build folders apart.
strangers() {
    if [ -e .git ] && command -v git >/dev/null; then
        git status --porcelain --ignored --untracked-files=all 2>/dev/null | grep -v ' build' || true
    fi
}

# run_preset TEST-PRESET: 0 when it builds and its tests pass. Called where set -e does not reach.
run_preset() {
    local tests=$1 preset=$1 prefix=()
    case $tests in
    release) tests=test ;;
    long | world) preset=release ;;
    esac
    say
    say "== $1"
    rm -f "build/$preset/ctest.xml"
    local bench=OFF # built with the optimised tests, so that it stays whole; run by hand
    [ "$preset" = release ] && bench=ON
    step "Configuring" "" cmake --preset "$preset" -DORTPOOL_TESTS=ON -DORTPOOL_BENCH=$bench || return 1
    step "Building" "" cmake --build --preset "$preset" || return 1
    if [ "$preset" = tsan ]; then
        prefix=("${tsan_prefix[@]}")
    fi
    "${prefix[@]}" ctest --preset "$tests" --output-junit ctest.xml
}

# run_phase PHASE: 0 when it passed; leaves in `said` what the summary says of it.
run_phase() {
    local status=0
    case $1 in
    fuzz)
        say
        say "== fuzz"
        scripts/fuzz.sh "${ORTPOOL_FUZZ_SECONDS:-15}" || status=$?
        said="each target ${ORTPOOL_FUZZ_SECONDS:-15} s"
        ;;
    mutation)
        say
        say "== mutation"
        scripts/mutation.sh || status=$?
        said='each chosen line broken'
        ;;
    *)
        run_preset "$1" || status=$?
        case $1 in
        long | world) said=$(counts release) ;;
        *) said=$(counts "$1") ;;
        esac
        ;;
    esac
    if [ "$1" = coverage ] && [ "$status" = 0 ]; then
        scripts/coverage.sh build/coverage || status=$?
    fi
    return "$status"
}

before=$(strangers)
summary=()
failed=()
said=
for phase in "${phases[@]}"; do
    start=$SECONDS
    verdict=passed
    run_phase "$phase" || verdict=FAILED
    [ "$verdict" = passed ] || failed+=("$phase")
    summary+=("$(printf '%-12s %s: %s, %d s' "$phase" "$verdict" "$said" $((SECONDS - start)))")
done

say
say "== summary"
printf '  %s\n' "${summary[@]}"
after=$(strangers)
if [ "$after" != "$before" ]; then
    say "Files in the source tree that were not there before:"
    comm -13 <(sort <<<"$before") <(sort <<<"$after")
    failed+=("files left in the source tree")
fi
if [ "${#failed[@]}" != 0 ]; then
    die "FAILED: ${failed[*]} (of ${phases[*]}), $SECONDS s"
fi
say "All tests passed: ${phases[*]}, $SECONDS s"
