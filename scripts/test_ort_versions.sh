#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# test_ort_versions.sh [--check] [VERSION-ARCH...]   the tests that open ONNX Runtime, against every release
# that scripts/ort_versions.lock lists; scripts/setup.sh test-world goes before. --check looks at the names
# alone.
#
# Libraries are fetched with mvn, pip and npm, once, into the user's cache. There is one build for each
# architecture: the library is opened when a test runs. arm64 runs in qemu's user mode on another
# machine, with ORTPOOL_TEST_THIN=2 for long sweeps and without the tests by script.
#
# With no names all are run and the table goes into docs/compatibility.md, too. What failed is in
# build/ort-versions/VERSION-ARCH.log. Part of `make test-world`: it takes about half an hour.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ORTPOOL_TOP"

lock=scripts/ort_versions.lock
page=docs/compatibility.md
store=$ORTPOOL_CACHE/versions
machine=$(uname -m)
logs=build/ort-versions
export ORT_DISABLE_TELEMETRY=1

work=
cleanup() {
    step_stop
    if [ -n "$work" ]; then
        rm -rf "$work"
    fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

has_sha256() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d ' ' -f 1)" = "$2" ]; }

# download KIND PACKAGE ARCH FOLDER: one package by its registry's own client, which keeps nothing else.
download() {
    cd "$4"
    case $1 in
    maven)
        mvn -q -B -Dmaven.repo.local="$4/m2" dependency:copy -Dartifact="$2:jar" \
            -DoutputDirectory="$4"
        ;;
    pypi)
        python3 -m pip download -q --no-deps --no-cache-dir --disable-pip-version-check \
            --only-binary=:all: --implementation cp --python-version 3.12 \
            --platform "manylinux_2_27_$3" --platform "manylinux_2_28_$3" "$2"
        ;;
    npm)
        npm pack "$2" --cache "$4/npm" --loglevel error --no-progress --no-update-notifier
        ;;
    *)
        say "$lock: no kind of package '$1'"
        return 1
        ;;
    esac
}

# take PACKAGE-FILE MEMBER: to standard output.
take() {
    case $1 in
    *.tgz) tar -xzOf "$1" "$2" ;;
    *) unzip -p "$1" "$2" ;;
    esac
}

# fetch VERSION ARCH KIND PACKAGE MEMBER SHA256: the library to its place in the cache.
fetch() {
    local folder=$store/$1-$2 have file
    if has_sha256 "$folder/lib/libonnxruntime.so" "$6"; then
        return 0
    fi
    rm -rf "$folder"
    mkdir -p "$folder/lib"
    have=$(fetched_folder)/lib/libonnxruntime.so
    if has_sha256 "$have" "$6"; then # setup.sh has it already
        ln -s "$have" "$folder/lib/libonnxruntime.so"
        return 0
    fi
    work=$(mktemp -d "$store/.fetch.XXXXXX")
    step "Downloading $4 ($3)" "$work" download "$3" "$4" "$2" "$work" || return 1
    file=$(find "$work" -maxdepth 1 -type f | head -n 1)
    take "$file" "$5" >"$work/library" || return 1
    if ! has_sha256 "$work/library" "$6"; then
        say "  $4: $5 is not what $lock pins; it was thrown away."
        return 1
    fi
    mv "$work/library" "$folder/lib/libonnxruntime.so"
    rm -rf "$work"
    work=
}

# The arm64 packages that the build links, unpacked into the cache: apt with lists of its own, so that
# the system is not told of another architecture.
arm64_packages() {
    local apt=(apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root
        -o "Dir::State::lists=$1/lists" -o "Dir::Cache=$1" -o Dir::State::status=/dev/null)
    local deb
    mkdir -p "$1/lists/partial" "$1/archives/partial" "$1/root"
    cd "$1"
    "${apt[@]}" update || return 1
    "${apt[@]}" download libjansson-dev libjansson4 libcmocka-dev libcmocka0 libxxhash-dev || return 1
    for deb in ./*.deb; do
        dpkg-deb -x "$deb" "$1/root" || return 1
    done
}

fetch_arm64_packages() {
    [ ! -d "$store/arm64-packages" ] || return 0
    work=$(mktemp -d "$store/.fetch.XXXXXX")
    step "Downloading arm64 packages (apt)" "$work" arm64_packages "$work" || return 1
    mv "$work/root" "$store/arm64-packages"
    rm -rf "$work"
    work=
}

# build ARCH FOLDER: one build for all versions, with the headers that setup.sh fetched. FOLDER is a
# release of that architecture.
build() {
    local options=(-B "build/ort-versions/$1" -DORTPOOL_TESTS=ON -DORTPOOL_TESTS_PIN_ORT=OFF)
    if [ "$1" = "$machine" ]; then
        options+=(-DORTPOOL_ONNXRUNTIME="$(fetched_folder)")
    else
        fetch_arm64_packages || return 1
        ln -sfn "$(fetched_folder)/include" "$2/include"
        options+=(-DORTPOOL_ONNXRUNTIME="$2" --toolchain "cmake/toolchains/$1-linux-gnu.cmake"
            -DCMAKE_FIND_ROOT_PATH="$store/arm64-packages")
    fi
    step "Configuring for $1" "" cmake --preset release "${options[@]}" || return 1
    step "Building for $1" "" cmake --build "build/ort-versions/$1" || return 1
}

# run VERSION ARCH: its tests; leaves in `result` the cells of the table.
run() {
    local build=build/ort-versions/$2 emulator=() select=(-L '^ort$' -LE '^(example|shared)$')
    local log=$logs/$1-$2.log found status=0 notes=''
    local -x ORTPOOL_ONNXRUNTIME=$store/$1-$2
    if [ "$2" != "$machine" ]; then
        local -x ORTPOOL_TEST_THIN=2
        emulator=("qemu-$2" -L "/usr/$2-linux-gnu")
        select=(-L '^(unit|ort)$' -LE '^(cli|example|shared)$')
        notes='in an emulator, thinned out'
    fi
    result='0 | 0 | 0 | its library could not be opened'
    found=$("${emulator[@]}" "$build/ortpool" --version 2>&1 </dev/null || true)
    if ! grep -qF "ONNX Runtime $1 ($ORTPOOL_ONNXRUNTIME/" <<<"$found"; then
        say "  $found"
        return 1
    fi
    rm -f "$build/ctest.xml"
    ctest --test-dir "$build" -j2 --no-tests=error --output-on-failure --output-junit ctest.xml \
        --output-log "$ORTPOOL_TOP/$log" "${select[@]}" </dev/null | grep --line-buffered -E '^ *[0-9]+/[0-9]+ ' ||
        status=${PIPESTATUS[0]}
    result=$(python3 scripts/ort_versions_table.py row "$build/ctest.xml" "$notes") || return 1
    return "$status"
}

check=
if [ "${1:-}" = --check ]; then
    check=1
    shift
fi
known=$(awk '!/^#/ && NF { print $1 "-" $2 }' "$lock")
for name in "$@"; do
    grep -qxF -- "$name" <<<"$known" || die "No ONNX Runtime is named '$name'. Expected one of:
$(paste -sd ' ' - <<<"$known" | fold -s -w 78 | sed 's/^/  /')"
done
[ -z "$check" ] || exit 0

rows=()
failed=()
built=
mkdir -p "$store" "$logs"
rm -rf "$store"/.fetch.* # left by one that was killed
while read -r version arch kind package member sha256; do
    name=$version-$arch
    if [ "$#" != 0 ] && [[ " $* " != *" $name "* ]]; then
        continue
    fi
    say
    say "== ONNX Runtime $version, $arch"
    result='0 | 0 | 0 | not on this machine'
    if [ "$arch" = "$machine" ] || [ "$arch-$machine" = aarch64-x86_64 ]; then
        result='0 | 0 | 0 | could not be fetched or built'
        if fetch "$version" "$arch" "$kind" "$package" "$member" "$sha256" &&
            { [[ " $built " == *" $arch "* ]] || build "$arch" "$store/$name"; }; then
            built+=" $arch"
            run "$version" "$arch" || failed+=("$name")
        else
            failed+=("$name")
        fi
    fi
    rows+=("| $version | $arch | $kind \`$package\` | $result |")
done < <(grep -v '^#' "$lock")

table=$(printf '%s\n' '| version | arch | package | passed | failed | skipped | notes |' \
    '| --- | --- | --- | ---: | ---: | ---: | --- |' "${rows[@]}")
say
say "$table"
if [ "$#" = 0 ]; then
    python3 scripts/ort_versions_table.py page "$page" <<<"$table"
    say "The same table is in $page now."
fi
[ "${#failed[@]}" = 0 ] || die "FAILED: ${failed[*]}, $SECONDS s; the logs are $logs/VERSION-ARCH.log"
say "All passed, $SECONDS s"
