#!/usr/bin/env bash
# Stops the control plane and starts it from this checkout's sources; takes the options of `raworc restart`.
set -euo pipefail
exec node "$(dirname "${BASH_SOURCE[0]}")/../packages/cli/bin/raworc.js" restart "$@"
