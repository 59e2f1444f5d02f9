#!/usr/bin/env bash
# Installs what the tests need and runs all of them. A suite whose real part is missing is skipped with a loud line;
# with CI=true a skipped suite is a failure. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/steps.sh

step "Installing packages"
require_node
install_dependencies

step "Looking for the real parts"
missing=()
command -v bwrap >/dev/null || missing+=(bubblewrap)
command -v newuidmap >/dev/null || missing+=(uidmap)
command -v nft >/dev/null || missing+=(nftables)
command -v mkfs.ext4 >/dev/null || missing+=(e2fsprogs)
[ -x /usr/sbin/mariadbd ] || missing+=(mariadb-server-core)
# One of rustup's is of use only to the home that it was installed for. Debian's stable releases have a newer one beside
# their own, which is too old for how crates are fetched now.
if ! cargo --version >/dev/null 2>&1 && ! [ -x /usr/bin/cargo ]; then
  install_packages cargo-web rustc-web 2>/dev/null || install_packages cargo || note "could not install: cargo"
fi
[ ${#missing[@]} = 0 ] || install_packages "${missing[@]}" || note "could not install: ${missing[*]}"
bubblewrap_works && note "bubblewrap: works" || note "bubblewrap: does not work here"
if [ "${CI:-}" = true ] && [ -x scripts/engine.sh ] && ! engine_answers; then
  scripts/engine.sh || note "no Docker engine could be started"
fi
if engine_answers && [ -x scripts/build.sh ]; then
  note "Docker engine: $(docker version --format '{{.Server.Version}}')"
  step "Making the images"
  scripts/build.sh || fail "the images could not be made"
else
  note "Docker engine: none answers, its suites are skipped"
fi

failed=0

step "Checking format, lint and types"
npm run --silent check || failed=1

step "Running all tests"
report=$(mktemp)
trap 'rm -f "$report"' EXIT
npm run --silent test -- --reporter=default --reporter=json --outputFile.json="$report" || failed=1
step_end

# The report says what ran; a crash before any test leaves it empty.
counts=$(node -e '
  const { readFileSync } = require("node:fs");
  let report = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, testResults: [] };
  try { report = JSON.parse(readFileSync(process.argv[1], "utf8")); } catch {}
  const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"));
  const failed = report.numFailedTests + broken.length;
  const skipped = report.numPendingTests > 0 ? `, ${report.numPendingTests} skipped` : "";
  console.log(`${report.numPassedTests} passed, ${failed} failed${skipped}`);
' "$report")
case $counts in "0 passed, 0 failed"*) failed=1 ;; esac
if [ "$failed" != 0 ]; then
  case $counts in *" 0 failed"*) counts=${counts/ 0 failed/ 1 failed} && note "a check or the run itself failed" ;; esac
fi
printf '\n%s\n' "$counts"
exit "$failed"
