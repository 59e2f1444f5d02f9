#!/bin/sh
# install-packages.sh FILE: installs the Debian packages named in FILE, while an image is built.
set -eu
cd /opt/raworc/build
export DEBIAN_FRONTEND=noninteractive
set -- $(cat "$1")
# The machine's certificates, where its configuration names some: mirrors may be reached by https.
[ -s machine.crt ] && options="-o Acquire::https::CaInfo=/opt/raworc/build/machine.crt" || options=
apt-get $options -qq update
apt-get $options -qq install -y --no-install-recommends "$@"
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log
