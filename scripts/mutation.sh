#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# mutation.sh [NUMBER...]   breaks the lines listed in tests/mutation/mutations.toml one at a time, in a copy,
# and shows for each a test that fails. Exit 1 where one survives.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

exec python3 "$ORTPOOL_TOP/tests/mutation/mutate.py" "$ORTPOOL_TOP" "$@"
