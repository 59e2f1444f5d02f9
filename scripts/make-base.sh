#!/usr/bin/env bash
# make-base.sh TARBALL: makes a minimal Debian root file system from Debian's packages alone, for machines that no image
# registry can be reached from. Needs mmdebstrap, which it installs where that is possible.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/steps.sh

tarball=$1
suite=trixie
mirror=${RAWORC_DEBIAN_MIRROR:-http://deb.debian.org/debian}

if ! command -v mmdebstrap >/dev/null; then
  note "installing mmdebstrap"
  install_packages mmdebstrap || fail "mmdebstrap is missing and can't be installed from here" \
    "run: sudo apt-get install mmdebstrap   or name an image to start from: RAWORC_BASE_IMAGE=debian:trixie-slim"
fi

options=(--variant=minbase --include=ca-certificates --format=tar --quiet)
for line in $(cat images/apt/dpkg/dpkg.cfg.d/raworc); do options+=("--dpkgopt=$line"); done
options+=('--aptopt=Apt::Install-Recommends "false"' '--aptopt=Acquire::Retries "5"')
[ -z "${SSL_CERT_FILE:-}" ] || options+=("--aptopt=Acquire::https::CaInfo \"$SSL_CERT_FILE\"")

mkdir -p "$(dirname "$tarball")"
draft=$tarball.draft.$$
trap 'rm -f "$draft"' EXIT
make() { timeout 900 mmdebstrap "${options[@]}" "$suite" "$draft" "$mirror"; }
retry 3 make || fail "the base file system could not be made" "see what mmdebstrap says above"
mv "$draft" "$tarball"
