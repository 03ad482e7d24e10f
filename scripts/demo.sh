#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# demo.sh   builds the command and predicts the bundled sample swipes; scripts/setup.sh goes before.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trap step_stop EXIT
cd "$ORTPOOL_TOP"

step "Configuring" "" cmake --preset release ||
    die "The build could not be configured; the lines above say what is missing."
step "Building" "" cmake --build --preset release --target ortpool_cli ||
    die "The build failed; the lines above say where."

say
say "\$ build/release/ortpool predict models/swipe-en/samples.jsonl --stats"
exec build/release/ortpool predict models/swipe-en/samples.jsonl --stats
