# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the scripts share: messages, a step with progress and a log, where things lie.
# Sourced, never run.

set -euo pipefail

ORTPOOL_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ORTPOOL_LOCK=$ORTPOOL_TOP/third_party/onnxruntime.lock

# Some service managers and containers start without HOME; the user database knows it.
if [ -z "${HOME:-}" ]; then
    HOME=$(getent passwd "$(id -u)" | cut -d: -f6 || true)
    export HOME="${HOME:-/}"
fi
export PYTHONDONTWRITEBYTECODE=1 # its caches would stay in the source tree
ORTPOOL_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/ortpool

# No carriage return and no escape in a file, nor where the terminal knows none.
if [ -t 1 ] && [ -n "${TERM:-}" ] && [ "$TERM" != dumb ]; then
    on_terminal=1
else
    on_terminal=0
fi

say() { printf '%s\n' "$*"; }

die() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

# The file that takes the output of the running step; kept when the step fails.
step_log=
step_child=

# An interrupt must not leave the child of a step behind, nor the child's children: they are one
# process group (job control below), so that a Ctrl-C that the shell alone receives ends them all.
step_stop() {
    if [ -n "$step_child" ]; then
        kill -- "-$step_child" 2>/dev/null || true
        wait "$step_child" 2>/dev/null || true
        step_child=
        rm -f "$step_log"
    fi
}

# One progress line: text, seconds, and how far: the size of the folder that fills, if one is named,
# or the [done/all] that the build tool writes.
step_progress() {
    local text=$1 seconds=$2 folder=$3 size=
    if [ -n "$folder" ]; then
        size=$(du -sm "$folder" 2>/dev/null | cut -f1 || true)
        size=${size:+, $size MB on disk}
    else
        size=$(tail -n 1 "$step_log" | grep -o '^\[[0-9]*/[0-9]*\]' || true)
        size=${size:+ $size}
    fi
    if [ "$on_terminal" = 1 ]; then
        printf '\r\033[K  %s ... %d s%s' "$text" "$seconds" "$size"
    elif [ $((seconds % 5)) = 0 ]; then
        say "  $text ... $seconds s$size"
    fi
}

# step TEXT FOLDER COMMAND... runs the command with its output in a log and shows that time passes.
# The command does not inherit descriptor 9, the set-up's lock.
# Returns the command's status; on failure the log's tail has been shown and the log's name said.
step() {
    local text=$1 folder=$2 start=$SECONDS tick=0 status=0
    shift 2
    step_log=$(mktemp "${TMPDIR:-/tmp}/ortpool-log.XXXXXX")
    [ "$on_terminal" = 1 ] || say "  $text"
    set -m
    "$@" >"$step_log" 2>&1 </dev/null 9>&- &
    step_child=$!
    set +m
    # Short first looks, so that a quick step costs no whole second.
    while kill -0 "$step_child" 2>/dev/null; do
        if [ $((SECONDS - start)) -gt "$tick" ]; then
            tick=$((SECONDS - start))
            step_progress "$text" "$tick" "$folder"
        fi
        sleep 0.1
    done
    wait "$step_child" || status=$?
    step_child=
    [ "$on_terminal" = 0 ] || printf '\r\033[K'
    if [ "$status" != 0 ]; then
        say "  $text: failed (status $status). The end of its output:"
        tail -n 30 "$step_log" | sed 's/^/    | /'
        say "  All of it: $step_log"
        return "$status"
    fi
    [ "$on_terminal" = 0 ] || say "  $text: done, $((SECONDS - start)) s"
    rm -f "$step_log"
}

# lock_lines WORD: the lines of the lock file that start with WORD, without it.
lock_lines() {
    sed -n "s/^$1[[:space:]]\{1,\}//p" "$ORTPOOL_LOCK"
}

# The folder in the cache that this machine's fetched ONNX Runtime has; empty: none is known for it.
fetched_folder() {
    local arch name
    while read -r arch name; do
        if [ "$arch" = "$(uname -m)" ]; then
            printf '%s\n' "$ORTPOOL_CACHE/$name"
        fi
    done < <(lock_lines folder)
}

# folder_library FOLDER: the library of a release folder; empty: none.
folder_library() {
    local file
    for file in "$1"/lib/libonnxruntime.so "$1"/lib/libonnxruntime.so.*; do
        if [ -f "$file" ]; then
            printf '%s\n' "$file"
            return
        fi
    done
}

# folder_header FOLDER: the C header below a release folder's include/; empty: none.
folder_header() {
    local sub
    for sub in '' onnxruntime/ onnxruntime/core/session/ onnxruntime/include/; do
        if [ -f "$1/include/${sub}onnxruntime_c_api.h" ]; then
            printf '%s\n' "$1/include/${sub}onnxruntime_c_api.h"
            return
        fi
    done
}

# The library of an installed ONNX Runtime that has its headers too; empty: none.
installed_library() {
    local prefix
    for prefix in /usr/local /usr; do
        if [ -n "$(folder_header "$prefix")" ]; then
            { PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || true; } |
                sed -n 's/^[[:space:]]*libonnxruntime\.so.* => //p' | head -n 1
            return
        fi
    done
}
