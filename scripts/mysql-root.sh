#!/usr/bin/env bash
# Unpacks MySQL's server with all that it needs into a folder, for RAWORC_TEST_MYSQL_ROOT: the suites of the store and of
# several servers then run on it in MariaDB's place. Debian's stable releases have none, so it is unstable's. As root:
#
#   scripts/mysql-root.sh /var/tmp/mysql
#   RAWORC_TEST_MYSQL_ROOT=/var/tmp/mysql RAWORC_TEST_DATABASES=mariadb npx vitest run packages/server/src/store
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/steps.sh

root=${1:?say which folder it shall be unpacked into}
[ ! -e "$root" ] || fail "$root is there already" "name a folder that isn't"
command -v mmdebstrap >/dev/null || install_packages mmdebstrap || fail "mmdebstrap is missing and can't be installed from here"

# A copy of unstable may be some weeks old; what it has is signed all the same.
options=(--variant=extract --include=mysql-server-core '--aptopt=Acquire::Check-Valid-Until "false"')
options+=('--aptopt=Apt::Install-Recommends "false"' '--aptopt=Acquire::Retries "5"')
[ -z "${SSL_CERT_FILE:-}" ] || options+=("--aptopt=Acquire::https::CaInfo \"$SSL_CERT_FILE\"")
timeout 900 mmdebstrap "${options[@]}" sid "$root" "${RAWORC_DEBIAN_MIRROR:-http://deb.debian.org/debian}"
for folder in bin lib lib64 sbin; do
  [ -e "$root/$folder" ] || ln -s "usr/$folder" "$root/$folder"
done
chroot "$root" /usr/sbin/mysqld --version
