#!/usr/bin/env bash
# Sees to it that a Docker engine answers: installs Debian's where there is none, and starts it. For new machines and CI;
# needs root. Does nothing where an engine answers already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/steps.sh

wait_seconds=90
log=${TMPDIR:-/tmp}/raworc-dockerd.log

if engine_answers; then
  note "a Docker engine answers already"
  exit 0
fi
can_be_root || fail "no Docker engine answers, and starting one needs root" "start Docker, or run this as root"

if ! command -v dockerd >/dev/null; then
  note "installing Docker"
  install_packages docker.io iptables || fail "Docker can't be installed from here" "install it, then run this again"
fi
# Newer Debian has the client in a package of its own.
command -v docker >/dev/null || install_packages docker-cli || fail "the docker command is missing" "install docker-cli"

# A killed engine leaves its pid file; the number may belong to another program by now, or to what is left of a dead one.
drop_stale_pid() {
  local file=$1 program=$2 pid
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  case $(as_root readlink "/proc/$pid/exe" || true) in
    */"$program") ;;
    *) as_root rm -f "$file" ;;
  esac
}

# Packets of containers must fit through the machine's way out.
device=$(ip -o route show default 2>/dev/null | awk '{ for (i = 1; i < NF; i++) if ($i == "dev") print $(i + 1) }' | head -n 1)
mtu=$(cat "/sys/class/net/$device/mtu" 2>/dev/null || echo 1500)

if [ -d /run/systemd/system ] && as_root systemctl start docker 2>/dev/null; then
  note "started by systemd"
else
  drop_stale_pid /var/run/docker.pid dockerd
  drop_stale_pid /var/run/docker/containerd/containerd.pid containerd
  note "starting dockerd, its log is $log"
  as_root setsid --fork dockerd --mtu "$mtu" --live-restore >"$log" 2>&1 </dev/null
fi

for _ in $(seq $((wait_seconds * 2))); do
  if engine_answers; then
    note "Docker engine $(docker version --format '{{.Server.Version}}')"
    exit 0
  fi
  sleep 0.5
done
tail -n 20 "$log" >&2 2>/dev/null || true
fail "the Docker engine does not answer after $wait_seconds s" "see $log"
