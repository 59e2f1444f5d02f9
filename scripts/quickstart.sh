#!/usr/bin/env bash
# From a fresh checkout to a conversation with an agent: installs what is needed, starts Raworc, builds an example
# agent from git, opens a session and talks to it. May be run again at any time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/steps.sh

raworc() { node packages/cli/bin/raworc.js "$@"; }

printf 'Raworc quickstart\n'

step "Installing packages"
require_node
install_dependencies

step "Choosing what session computers are made with"
runtime=${RAWORC_RUNTIME:-auto}
[ "$runtime" = auto ] || note "$runtime, as RAWORC_RUNTIME says"
if [ "$runtime" = auto ] || [ "$runtime" = docker ]; then
  if engine_answers; then
    note "a Docker engine answers: making the images (a while the first time, a moment afterwards)"
    scripts/build.sh
  elif [ "$runtime" = docker ]; then
    fail "no Docker engine answers" "start Docker, or leave RAWORC_RUNTIME out to use bubblewrap"
  fi
fi
if [ "$runtime" = sandbox ] || { [ "$runtime" = auto ] && ! engine_answers; }; then
  [ "$runtime" = sandbox ] || note "no Docker engine answers: using the sandbox driver (bubblewrap)"
  if ! bubblewrap_works; then
    note "installing bubblewrap"
    install_packages bubblewrap || fail "bubblewrap is missing and can't be installed from here" \
      "run: sudo apt-get install bubblewrap   (or your system's equivalent), or start Docker; then run this again"
    bubblewrap_works || fail "bubblewrap is there but can't make namespaces" \
      "on Ubuntu 24.04 and newer: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0" \
      "in a container: allow user namespaces, or start Docker; then run this again"
  fi
fi

step "Starting Raworc"
RAWORC_ALLOW_LOCAL_SOURCES=${RAWORC_ALLOW_LOCAL_SOURCES:-true} raworc start --runtime "$runtime"

# The examples are built from this checkout's last commit. Without one (a downloaded archive) they get a repository.
repository=$PWD
if ! git -C "$repository" rev-parse --verify -q HEAD >/dev/null 2>&1; then
  repository=${RAWORC_HOME:-$HOME/.raworc}/examples
  note "this folder is no git checkout: putting the examples into a repository at $repository"
  rm -rf "$repository" && mkdir -p "$repository" && cp -R examples "$repository/"
  git -C "$repository" init -q
  git -C "$repository" add -A
  git -C "$repository" -c user.name=raworc -c user.email=raworc@localhost commit -qm "Examples"
fi

# register NAME FOLDER: from a git repository, changed where it is known already.
register() {
  local fields="\"source_repo\":\"$repository\",\"source_path\":\"$2\",\"description\":\"Example of the quickstart\""
  if raworc api "spaces/default/agents/$1" >/dev/null 2>&1; then
    raworc api "spaces/default/agents/$1" --method PUT --body "{$fields}" >/dev/null
  else
    raworc api spaces/default/agents --method POST --body "{\"name\":\"$1\",$fields}" >/dev/null
  fi 2>/dev/null || fail "the agent $1 could not be registered" "try: raworc api spaces/default/agents"
}

step "Registering example agents from git"
register planner examples/planner
agents="planner"
if command -v python3 >/dev/null || engine_answers; then
  register analyst examples/analyst
  agents="$agents analyst"
fi
note "$agents, from $repository"

step "Building them, each in a throw-away computer"
raworc build --space default --wait

step "Talking to them in a session"
session=$(raworc api sessions --method POST --body '{"name":"quickstart","wait":"ready"}' 2>/dev/null |
  node -e 'const fs = require("node:fs"); process.stdout.write(JSON.parse(fs.readFileSync(0, "utf8")).id)') ||
  fail "the session could not be opened" "try: npx raworc api sessions, npx raworc logs server"
note "session $session"

# say TEXT: sends one message and prints the conversation as it streams.
say() {
  printf '\nYou: %s\n\n' "$1"
  printf '%s\n' "$1" | raworc session --resume "$session" --keep 2>"$notes" || { cat "$notes" >&2 && exit 1; }
}
notes=$(mktemp)
trap 'rm -f "$notes"' EXIT
say "@planner buy milk, call Anna tomorrow and finish the report on friday"
say "@planner done milk"
case $agents in *analyst*) say "@analyst 12 15 9 30 22 18 11 14" ;; esac
step_end

cat <<TXT

Raworc is running. What next:
  npx raworc session            talk to the agents yourself (/help, /quit)
  npx raworc status             what runs where
  npx raworc api sessions       the REST API, http://127.0.0.1:${RAWORC_PORT:-9000}/docs describes it
  npx raworc stop               stop it again; sessions and their files are kept
Write your own agent: docs/agents.md
TXT
