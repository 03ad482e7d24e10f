#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# fuzz.sh [SECONDS [TARGET...]]   builds the fuzz targets and runs each for SECONDS (60) from its corpus.
#
# TARGET: ops, swipe_json, manifest, lexicon, graph (all). What an oracle or a sanitizer stops lies in
# build/fuzz/found/ as TARGET-crash-...; `build/fuzz/tests/fuzz/fuzz_TARGET FILE` repeats it. New inputs
# stay in build/fuzz/grown/TARGET; tests/fuzz/README.md says how to take some over.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trap step_stop EXIT
cd "$ORTPOOL_TOP"

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "usage: scripts/fuzz.sh [SECONDS [TARGET...]], and '$seconds' are no seconds"
shift $(($# > 0 ? 1 : 0))
targets=("$@")
if [ "${#targets[@]}" = 0 ]; then
    targets=(ops swipe_json manifest lexicon graph)
fi
for target in "${targets[@]}"; do
    [ -d "tests/fuzz/corpora/$target" ] || die "no target '$target'; there are: $(ls tests/fuzz/corpora | tr '\n' ' ')"
done

build=build/fuzz
step "Configuring" "" cmake --preset fuzz -DORTPOOL_TESTS=ON || exit 1
step "Building" "" cmake --build --preset fuzz --target "${targets[@]/#/fuzz_}" || exit 1
mkdir -p "$build/found"

failed=()
for target in "${targets[@]}"; do
    mkdir -p "$build/grown/$target"
    log=$build/found/$target.log
    options=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1
        -artifact_prefix="$build/found/$target-")
    case $target in
    ops) options+=(-max_len=300) ;;
    swipe_json | manifest) options+=(-max_len=4096 -dict=tests/fuzz/json.dict) ;;
    *) options+=(-max_len=4096) ;;
    esac
    say "  fuzz_$target: $seconds s"
    status=0
    "$build/tests/fuzz/fuzz_$target" "${options[@]}" "$build/grown/$target" \
        "tests/fuzz/corpora/$target" >"$log" 2>&1 </dev/null || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    covered=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 || true)
    if [ "$status" = 0 ]; then
        say "    ${runs:-?} inputs, ${rate:-?} a second, ${covered:-no coverage}"
    else
        failed+=("$target")
        say "    stopped (status $status). The end of $log:"
        tail -n 30 "$log" | sed 's/^/    | /'
    fi
done
[ "${#failed[@]}" = 0 ] || die "FAILED: ${failed[*]}; the inputs lie in $build/found/"
