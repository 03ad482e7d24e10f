#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# setup.sh [demo|test|test-all|test-world|bench]   installs the programs and libraries of `make demo`,
# `make test`, `make test-all`, `make test-world` or `make bench`.
#
# Packages come from apt, and only those that are missing. ONNX Runtime is used where it is found
# (ORTPOOL_ONNXRUNTIME, an installed one); otherwise it is fetched with npm as
# third_party/onnxruntime.lock pins it, into the user's cache. With nothing missing it returns at
# once. Nothing is written into the project.
#
# Every program that a script or a test calls belongs to a package below or to Debian's essential
# ones; the test `setup_programs` compares them.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

case ${1:-demo} in
demo | test | test-all | test-world | bench) purpose=${1:-demo} ;;
*)
    say "usage: scripts/setup.sh [demo|test|test-all|test-world|bench]" >&2
    exit 2
    ;;
esac

# PACKAGE PROBE: a package counts as there when dpkg says so, or when its probe finds the same thing
# from another source: a command, or a header that the compiler finds.
demo_packages='
build-essential command:cc
g++             command:c++
cmake           command:cmake
ninja-build     command:ninja
libjansson-dev  header:jansson.h
libxxhash-dev   header:xxhash.h
'
test_packages='
libcmocka-dev   header:cmocka.h
python3         command:python3
binutils        command:objdump
file            command:file
git             command:git
pkgconf         command:pkg-config
procps          command:pgrep
strace          command:strace
libmimalloc2.0  none:
'
test_all_packages='
clang              command:clang
libclang-rt-14-dev clang:libclang_rt.asan
gcovr              command:gcovr
chromium           command:chromium
python3-torch      none:
libopenblas0       none:
python3-onnx       none:
'
test_world_packages='
maven                   command:mvn
python3-pip             command:pip3
unzip                   command:unzip
gcc-aarch64-linux-gnu   command:aarch64-linux-gnu-gcc
g++-aarch64-linux-gnu   command:aarch64-linux-gnu-g++
libc6-dev-arm64-cross   none:
libstdc++6-arm64-cross  none:
qemu-user               command:qemu-aarch64
'
bench_packages='
git             command:git
python3         command:python3
python3-venv    none:
strace          command:strace
libmimalloc2.0  none:
'
fetch_packages='
ca-certificates none:
nodejs          command:node
npm             command:npm
'

# by_hand PACKAGES: those that are missing, if any.
by_hand() {
    say "To set up by hand:"
    [ -z "$1" ] || say "  apt-get install $1"
    say "  ORTPOOL_ONNXRUNTIME=FOLDER, where FOLDER is an unpacked release of ONNX Runtime with"
    say "  include/onnxruntime_c_api.h and lib/libonnxruntime.so; nothing is fetched then"
}

# names PACKAGES: the first column.
names() { awk 'NF { print $1 }' <<<"$1" | paste -sd ' ' -; }

probe() {
    case $1 in
    command:*) command -v "${1#command:}" >/dev/null ;;
    header:*)
        printf '#include <stddef.h>\n#include <stdarg.h>\n#include <setjmp.h>\n#include <stdint.h>\n#include <%s>\n' "${1#header:}" |
            cc -E -x c - >/dev/null 2>&1
        ;;
    clang:*) compgen -G "$(clang -print-runtime-dir 2>/dev/null)/${1#clang:}*" >/dev/null ;;
    *) return 1 ;;
    esac
}

# missing PACKAGES: those that neither dpkg nor the probe knows. One dpkg-query for all of them.
missing() {
    local package how installed
    # shellcheck disable=SC2046 # names are words
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $(names "$1") 2>/dev/null |
        awk '$2 == "installed" { print $1 }' || true)
    while read -r package how; do
        [ -n "$package" ] || continue
        if ! grep -qxF "$package" <<<"$installed" && ! probe "$how"; then
            printf '%s ' "$package"
        fi
    done <<<"$1"
}

# need_root PACKAGES: leaves in root_prefix what runs a command as root, or says that nothing does.
root_prefix=()
need_root() {
    if [ "$(id -u)" = 0 ]; then
        return
    fi
    if ! command -v sudo >/dev/null; then
        die "Missing packages: $1
Installing them needs root, and there is no sudo here.
$(by_hand "$1")"
    fi
    # Asked for here, in the open: a step's output goes to its log and its input is closed.
    if ! { [ -t 0 ] && sudo -v; } && ! sudo -n true 2>/dev/null; then
        die "Missing packages: $1
Installing them needs root, and sudo did not let this user in.
$(by_hand "$1")"
    fi
    root_prefix=(sudo -n)
}

install_packages() {
    local packages=$1
    if ! command -v apt-get >/dev/null; then
        die "Missing: $packages
This is not a Debian system (no apt-get); install what these Debian packages hold.
$(by_hand "$packages")"
    fi
    need_root "$packages"
    say "Installing with apt: $packages"
    local apt=("${root_prefix[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2)
    # A repository that does not answer is no reason to stop: the packages may come from another.
    step "Reading the package lists" "" "${apt[@]}" update ||
        say "  Going on with the lists that are there."
    # shellcheck disable=SC2086 # a list of words
    step "Installing packages" "" "${apt[@]}" install --no-install-recommends $packages ||
        die "apt could not install: $packages
Without network, or with apt's sources out of reach, install them some other way.
$(by_hand "$packages")"
}

# What the sources of ONNX Runtime have: sets ort_found to a text, or to nothing.
find_onnxruntime() {
    local folder=${ORTPOOL_ONNXRUNTIME:-} installed
    ort_found=
    if [ "$purpose" = test-world ]; then # compiles against the pinned headers
        folder=
    fi
    if [ -n "$folder" ]; then
        if [ -z "$(folder_header "$folder")" ] || [ -z "$(folder_library "$folder")" ]; then
            die "ORTPOOL_ONNXRUNTIME is '$folder', and that folder lacks include/onnxruntime_c_api.h
or lib/libonnxruntime.so. Name an unpacked release of ONNX Runtime, or unset the variable: then an
installed one is used or one is fetched."
        fi
        ort_found="$folder (ORTPOOL_ONNXRUNTIME)"
        return
    fi
    installed=$(installed_library)
    if [ -n "$installed" ] && [ "$purpose" != test-world ]; then
        ort_found="$installed (installed)"
        return
    fi
    folder=$(fetched_folder)
    if [ -n "$folder" ] && [ -n "$(folder_header "$folder")" ] && [ -n "$(folder_library "$folder")" ]; then
        ort_found=$folder
    fi
}

# integrity FILE: its sha512 the way that npm writes it.
integrity() {
    printf 'sha512-'
    sha512sum "$1" | cut -c1-128 | tr a-f A-F | basenc --base16 -d | base64 -w 0
}

# Progress shows the size of this folder; npm gets a cache of its own in it, so that the download
# leaves nothing behind, and neither a home nor a project's settings are touched.
pack() {
    cd "$1"
    npm pack "$2" --cache "$1/npm" --loglevel error --no-progress --no-update-notifier \
        --fetch-retries 2 --fetch-retry-mintimeout 2000 --fetch-timeout 120000
}

# unpack TARBALL FOLDER MEMBER...: the members, which may hold wildcards, below the folder.
unpack() {
    local tarball=$1 folder=$2
    shift 2
    mkdir -p "$folder"
    tar -xzf "$tarball" -C "$folder" --no-same-owner --wildcards "$@"
}

# fetch_package ID NAME VERSION INTEGRITY WORK: takes what the lock file wants of one npm package
# into WORK/result.
fetch_package() {
    local id=$1 name=$2 version=$3 wanted=$4 work=$5 members=() destinations=()
    local arch from member destination
    while read -r arch from member destination; do
        if [ "$from" = "$id" ] && { [ "$arch" = any ] || [ "$arch" = "$(uname -m)" ]; }; then
            members+=("$member")
            destinations+=("$destination")
        fi
    done < <(lock_lines take)
    [ "${#members[@]}" != 0 ] || return 0

    mkdir -p "$work/$id"
    step "Downloading $name $version" "$work/$id" pack "$work/$id" "$name@$version" ||
        die "npm could not download $name@$version.
Without network, or with npm's registry out of reach, ONNX Runtime has to come some other way.
$(by_hand "$(missing "$demo_packages")")"
    local tarball
    tarball=$(compgen -G "$work/$id/*.tgz" || true)
    [ -f "$tarball" ] || die "npm pack $name@$version left no package file in $work/$id."

    local got
    got=$(integrity "$tarball")
    if [ "$got" != "$wanted" ]; then
        die "$name $version is not what third_party/onnxruntime.lock pins; it was thrown away.
  wanted $wanted
  got    $got
Either the download was damaged (try again) or the registry serves something else (do not)."
    fi
    step "Unpacking $name $version" "" unpack "$tarball" "$work/$id/unpacked" "${members[@]}" ||
        die "$name $version has not the files that third_party/onnxruntime.lock names."

    local i
    for i in "${!members[@]}"; do
        destination=$work/result/${destinations[i]}
        if [ "${destination%/}" != "$destination" ]; then
            mkdir -p "$destination"
        else
            mkdir -p "${destination%/*}"
        fi
        # The member's wildcard must expand; the folders of these packages have no blanks.
        # shellcheck disable=SC2086
        mv "$work/$id/unpacked/"${members[i]} "$destination"
    done
    rm -rf "${work:?}/$id"
}

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

fetch_onnxruntime() {
    local folder id name version wanted
    folder=$(fetched_folder)
    if [ -z "$folder" ]; then
        die "No ONNX Runtime is pinned for this machine ($(uname -m)).
$(by_hand "$(missing "$demo_packages")")"
    fi
    if ! mkdir -p "$ORTPOOL_CACHE" 2>/dev/null || [ ! -w "$ORTPOOL_CACHE" ]; then
        die "Cannot write to $ORTPOOL_CACHE, where ONNX Runtime would be kept.
Set XDG_CACHE_HOME to a folder that can be written, or ORTPOOL_ONNXRUNTIME to an unpacked release."
    fi

    # Two set-ups at once: the second waits and finds the work done. The kernel drops the lock with
    # this process, however that ends.
    exec 9>"$ORTPOOL_CACHE/.lock"
    if ! flock -n 9; then
        say "Another set-up is running; waiting for it."
        flock 9
    fi
    find_onnxruntime
    [ -z "$ort_found" ] || return 0

    rm -rf "$ORTPOOL_CACHE"/.fetch.* # left by one that was killed
    work=$(mktemp -d "$ORTPOOL_CACHE/.fetch.XXXXXX")
    mkdir "$work/result"
    say "Fetching ONNX Runtime with npm (up to 150 MB, once), into $folder"
    say "  Debian has no package of it; these npm packages hold the official library and its C headers."
    while read -r id name version wanted; do
        fetch_package "$id" "$name" "$version" "$wanted" "$work"
    done < <(lock_lines package)

    # What links the library asks for the name that it gives itself.
    ln -s libonnxruntime.so "$work/result/lib/libonnxruntime.so.1"

    # Complete or not there at all: one rename.
    rm -rf "$folder"
    mv "$work/result" "$folder"
    rm -rf "$work"
    work=
    find_onnxruntime
    [ -n "$ort_found" ] || die "The fetched ONNX Runtime in $folder is incomplete."
}

find_onnxruntime
wanted_packages=$demo_packages
case $purpose in
test | test-all | test-world) wanted_packages+=$test_packages ;;
bench) wanted_packages+=$bench_packages$fetch_packages ;;
esac
[ "$purpose" != test-all ] || wanted_packages+=$test_all_packages
[ "$purpose" != test-world ] || wanted_packages+=$test_world_packages$fetch_packages
[ -n "$ort_found" ] || wanted_packages+=$fetch_packages
missing_packages=$(missing "$wanted_packages")
missing_packages=${missing_packages% }
if [ -n "$missing_packages" ]; then
    install_packages "$missing_packages"
fi
[ -n "$ort_found" ] || fetch_onnxruntime
say "Set-up for the $purpose: packages are there; ONNX Runtime: $ort_found"
