#!/usr/bin/env bash
# build-server.sh: makes raworc_server:dev, the image of the control plane's own containers (raworc start --docker), where it
# is not there or not of this checkout. It stands on the session image, which scripts/build.sh makes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/steps.sh

image=raworc_server:dev
session_image=raworc_session:dev

[ -x node_modules/node/bin/node ] || fail "the packages are not installed" "run: npm ci"
export PATH=$PWD/node_modules/node/bin:$PATH
docker image inspect "$session_image" >/dev/null 2>&1 || scripts/build.sh

context=$(mktemp -d)
trap 'rm -rf "$context" "$context.log"' EXIT
app=$context/app
mkdir -p "$app/node_modules/@raworc" "$app/packages/host"
host=$(node scripts/bundle-host.ts "$app/packages/host/dist")
printf '%s' "$host" >"$app/packages/host/dist/hash"

recipe=$({
  docker image inspect --format '{{.Id}}' "$session_image"
  echo "$host"
  find packages/server packages/contract -type f -not -path '*/node_modules/*' -not -name '*.test.ts' | LC_ALL=C sort | xargs cat
  cat package-lock.json
} | sha256sum | cut -c1-24)
if [ "$(docker image inspect --format '{{index .Config.Labels "raworc.recipe"}}' "$image" 2>/dev/null)" = "$recipe" ]; then
  note "$image: unchanged"
  exit 0
fi

for name in server contract; do
  mkdir -p "$app/packages/$name"
  cp -R "packages/$name/src" "packages/$name/package.json" "$app/packages/$name/"
  ln -s "../../packages/$name" "$app/node_modules/@raworc/$name"
done
find "$app/packages" -name '*.test.ts' -delete
cp package.json "$app/"
# Each package that the server needs at run time, and nothing that only the checkout needs.
node node_modules/npm/bin/npm-cli.js ls --omit=dev --all --parseable -w @raworc/server | sed -n "s|^$PWD/||p" |
  grep -v -e '^node_modules/@raworc/' -e '^packages/[^/]*$' | sort | while read -r folder; do
  # One inside of another came with that.
  [ -e "$app/$folder" ] && continue
  mkdir -p "$app/$(dirname "$folder")"
  cp -R "$folder" "$app/$folder"
done

options=(--network host --force-rm --tag "$image" --build-arg "SESSION_IMAGE=$session_image" --build-arg "RECIPE=$recipe")
for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
  [ -z "${!name:-}" ] || options+=(--build-arg "$name")
done
cp packages/server/image/Dockerfile "$context/"
attempt() { timeout 900 docker build "${options[@]}" "$context" >"$context.log" 2>&1; }
if ! retry 2 attempt; then
  tail -n 30 "$context.log" >&2
  fail "the image $image could not be built" "see what the engine says above"
fi
note "$image: $(docker image inspect --format '{{.Size}}' "$image" | awk '{ printf "%.0f MB", $1 / 1e6 }')"
# What the tag named before.
docker image prune --force --filter label=raworc.image=server >/dev/null
