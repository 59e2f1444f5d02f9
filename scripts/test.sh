#!/usr/bin/env bash
# Installs what the tests need and runs all of them. A suite whose real part is missing is skipped with a loud line;
# with CI=true a skipped suite is a failure. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/steps.sh

# Programs of the system, and an engine.
find_parts() {
  local missing=()
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
  engine_answers && note "Docker engine: $(docker version --format '{{.Server.Version}}')" ||
    note "Docker engine: none answers, its suites are skipped"
}

# run_tests PROJECT…: true where all have passed.
run_tests() {
  npm run --silent test -- "${@/#/--project=}" --reporter=default --reporter=json --outputFile.json="$reports/$1.json"
}

failed=0
reports=$(mktemp -d)
trap 'drop_asides; rm -rf "$reports"' EXIT

step "Installing packages"
require_node
begin_aside parts find_parts
install_dependencies

step "Looking for the real parts"
end_aside parts
with_images=
if engine_answers && [ -x scripts/build.sh ]; then
  with_images=true
  begin_aside images scripts/build.sh
  note "the images are made meanwhile"
fi

step "Checking format, lint and types"
npm run --silent check || failed=1

step "Running unit tests"
run_tests unit || failed=1

if [ -n "$with_images" ]; then
  step "Making the images"
  end_aside images || fail "the images could not be made"
fi

step "Running the suites with real parts"
run_tests conformance integration e2e || failed=1
step_end

# The reports say what ran; a crash before any test leaves one empty.
counts=$(node -e '
  const { readdirSync, readFileSync } = require("node:fs");
  let passed = 0, failed = 0, skipped = 0;
  for (const name of readdirSync(process.argv[1])) {
    let report = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, testResults: [] };
    try { report = JSON.parse(readFileSync(`${process.argv[1]}/${name}`, "utf8")); } catch {}
    const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"));
    passed += report.numPassedTests;
    failed += report.numFailedTests + broken.length;
    skipped += report.numPendingTests;
  }
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
' "$reports")
case $counts in "0 passed, 0 failed"*) failed=1 ;; esac
if [ "$failed" != 0 ]; then
  case $counts in *" 0 failed"*) counts=${counts/ 0 failed/ 1 failed} && note "a check or the run itself failed" ;; esac
fi
printf '\n%s\n' "$counts"
exit "$failed"
