#!/usr/bin/env bash
# Stops the control plane of this checkout; takes the options of `raworc stop`.
set -euo pipefail
exec node "$(dirname "${BASH_SOURCE[0]}")/../packages/cli/bin/raworc.js" stop "$@"
