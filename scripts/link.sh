#!/usr/bin/env bash
# Makes the command `raworc` of this checkout one of this machine; `--undo` takes it away again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../packages/cli"
. ../../scripts/steps.sh
case ${1:-} in
  "") npm link --silent --no-audit --no-fund && note "raworc is $(command -v raworc || echo "in $(npm prefix -g)/bin, which is not on your PATH")" ;;
  --undo) npm unlink --silent --global @raworc/cli ;;
  *) fail "unknown argument $1" "use: scripts/link.sh [--undo]" ;;
esac
