#!/usr/bin/env bash
# Stops the control plane and removes everything that it made; takes the options of `raworc reset`.
set -euo pipefail
exec node "$(dirname "${BASH_SOURCE[0]}")/../packages/cli/bin/raworc.js" reset "$@"
