#!/usr/bin/env bash
# push.sh REGISTRY/PATH: puts the images that build.sh makes into a registry that you are logged in to (docker login).
# Servers elsewhere then use them: RAWORC_SESSION_IMAGE=REGISTRY/PATH/raworc_session:VERSION
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/steps.sh

target=${1:-}
[ -n "$target" ] || fail "the registry is missing" "use: scripts/push.sh registry.example/team"
version=$(node -p 'require("./package.json").version')
for name in raworc_session raworc_builder; do
  docker image inspect "$name:dev" >/dev/null 2>&1 || fail "there is no image $name:dev" "make it: scripts/build.sh"
  docker tag "$name:dev" "$target/$name:$version"
  retry 3 docker push --quiet "$target/$name:$version" || fail "$target/$name:$version could not be pushed" "log in: docker login"
done
