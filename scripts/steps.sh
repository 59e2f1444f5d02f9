# Sourced by the scripts of this folder: numbered steps with their seconds, retries, and package installation.

step_count=0
step_started=

step() {
  step_end
  step_count=$((step_count + 1))
  step_started=$(date +%s%N)
  printf '\n[%d] %s\n' "$step_count" "$1"
}

# Prints how long the step before took. Called by the next step, and once at the end.
step_end() {
  [ -n "$step_started" ] || return 0
  local ms=$((($(date +%s%N) - step_started) / 1000000))
  printf '    done in %d.%d s\n' $((ms / 1000)) $((ms % 1000 / 100))
  step_started=
}

note() { printf '    %s\n' "$*"; }

# begin_aside NAME COMMAND…: runs it beside the steps that follow. Nothing of it is seen until `end_aside NAME`, which waits for
# it, prints what it said and is true where it was. `drop_asides`, at the script's exit, ends what is still under way.
aside_folder=

begin_aside() {
  local name=$1
  shift
  aside_folder=${aside_folder:-$(mktemp -d)}
  # With a process group of its own it can be ended whole.
  set -m
  "$@" >"$aside_folder/$name.log" 2>&1 </dev/null &
  set +m
  echo $! >"$aside_folder/$name.pid"
}

end_aside() {
  local status=0
  wait "$(cat "$aside_folder/$1.pid")" || status=$?
  rm "$aside_folder/$1.pid"
  cat "$aside_folder/$1.log"
  return "$status"
}

drop_asides() {
  [ -n "$aside_folder" ] || return 0
  local file
  for file in "$aside_folder"/*.pid; do
    [ ! -f "$file" ] || kill -- "-$(cat "$file")" 2>/dev/null
  done
  rm -rf "$aside_folder"
}

fail() {
  printf '\nerror: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
}

# retry TIMES COMMAND…: for what goes over a network.
retry() {
  local times=$1 try
  shift
  for try in $(seq "$times"); do
    "$@" && return 0
    [ "$try" -lt "$times" ] && note "failed, once more in $((try * 3)) s: $*" && sleep $((try * 3))
  done
  return 1
}

# Runs a command as root, or fails when that takes a password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_be_root() {
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

# install_packages NAME…: from the system's own packages where that is possible. False where it is not.
install_packages() {
  can_be_root || return 1
  if command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    retry 3 as_root apt-get -qq update &&
      retry 3 as_root apt-get -qq install -y --no-install-recommends "$@" >/dev/null
  elif command -v dnf >/dev/null; then
    retry 3 as_root dnf -q install -y "$@"
  elif command -v apk >/dev/null; then
    retry 3 as_root apk add -q "$@"
  elif command -v pacman >/dev/null; then
    retry 3 as_root pacman -S --noconfirm --needed "$@"
  else
    return 1
  fi
}

require_node() {
  command -v git >/dev/null || fail "git is missing" "install git, for example: apt-get install git"
  command -v node >/dev/null || fail "Node.js is missing" "install any version from 20, with npm: https://nodejs.org"
  command -v npm >/dev/null || fail "npm is missing" "install npm, for example: apt-get install npm"
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || fail "Node.js $(node --version) is too old" "install any version from 20: https://nodejs.org"
}

# Installs the project's packages when the lock file has changed since the last time.
install_dependencies() {
  local stamp=node_modules/.raworc-lock
  if [ -f "$stamp" ] && cmp -s package-lock.json "$stamp"; then
    note "packages are up to date"
    return 0
  fi
  retry 3 npm ci --no-fund --no-audit --no-update-notifier --loglevel=error || fail "npm ci failed" "see what npm says above"
  cp package-lock.json "$stamp"
}

engine_answers() {
  command -v docker >/dev/null && timeout 10 docker version >/dev/null 2>&1
}

bubblewrap_works() {
  command -v bwrap >/dev/null && timeout 10 bwrap --unshare-all --ro-bind / / true 2>/dev/null
}
