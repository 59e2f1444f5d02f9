#!/usr/bin/env bash
# Starts the control plane of this checkout; takes the options of `raworc start`.
set -euo pipefail
exec node "$(dirname "${BASH_SOURCE[0]}")/../packages/cli/bin/raworc.js" start "$@"
