#!/usr/bin/env bash
# Makes the images of session computers, raworc_session:dev and raworc_builder:dev, where they are not there or not of this
# checkout. `--fresh` makes everything anew, with the newest packages.
#   RAWORC_BASE_IMAGE      image to start from; else Debian's from a registry, else one made of Debian's packages
#   RAWORC_DEBIAN_MIRROR   where a base is made from
#   SSL_CERT_FILE          CA certificates that mirrors are trusted by
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/steps.sh

session_image=raworc_session:dev
builder_image=raworc_builder:dev
public_base=debian:trixie-slim
cache=${XDG_CACHE_HOME:-$HOME/.cache}/raworc
fresh=
case ${1:-} in
  "") ;;
  --fresh) fresh=true ;;
  *) fail "unknown argument $1" "use: scripts/build.sh [--fresh]" ;;
esac

hash_of() { sha256sum | cut -c1-24; }
label_of() { docker image inspect --format "{{index .Config.Labels \"$2\"}}" "$1" 2>/dev/null || true; }
size_of() { docker image inspect --format '{{.Size}}' "$1" | awk '{ printf "%.0f MB", $1 / 1e6 }'; }
seconds() { awk -v from="$1" -v to="$(date +%s%N)" 'BEGIN { printf "%.1f s", (to - from) / 1e9 }'; }

[ -x node_modules/node/bin/node ] || fail "the packages are not installed" "run: npm ci"
export PATH=$PWD/node_modules/node/bin:$PATH
engine_answers || fail "no Docker engine answers" \
  "start Docker (on Debian: scripts/engine.sh installs and starts one), or use the sandbox runtime, which needs no image"

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

# What the images are made of. The host's program comes last, so that changing it is cheap.
host=$(node scripts/bundle-host.ts "$context/host")
case $(docker version --format '{{.Server.Arch}}') in
  amd64) architecture=x64 ;;
  arm64) architecture=arm64 ;;
  *) fail "the engine's architecture is not known" "amd64 and arm64 are" ;;
esac
node_version=$(node -p process.versions.node)
npm_version=$(node -p 'require("./node_modules/npm/package.json").version')
certificates=/dev/null
[ -z "${SSL_CERT_FILE:-}" ] || certificates=$SSL_CERT_FILE
recipe=$({
  cat scripts/make-base.sh
  find images -type f | LC_ALL=C sort | xargs cat
  echo "$architecture $node_version $npm_version ${RAWORC_BASE_IMAGE:-}"
  cat "$certificates"
} | hash_of)

# is_made IMAGE: whether it is of this recipe and host.
is_made() { [ -z "$fresh" ] && [ "$(label_of "$1" raworc.recipe) $(label_of "$1" raworc.host)" = "$recipe $host" ]; }

choose_base() {
  if [ -n "${RAWORC_BASE_IMAGE:-}" ]; then
    base=$RAWORC_BASE_IMAGE
    docker image inspect "$base" >/dev/null 2>&1 || retry 3 timeout 600 docker pull -q "$base" >/dev/null ||
      fail "the base image $base can't be had" "give RAWORC_BASE_IMAGE another name, or leave it out"
    return
  fi
  base=raworc_base:$(cat scripts/make-base.sh images/apt/dpkg/dpkg.cfg.d/raworc | hash_of)
  [ -z "$fresh" ] && docker image inspect "$base" >/dev/null 2>&1 && return
  if timeout 300 docker pull -q "$public_base" >/dev/null 2>&1; then
    base=$public_base
    note "base: $public_base, from the registry"
    return
  fi
  local tarball=$cache/${base//:/-}.tar started
  started=$(date +%s%N)
  if [ -n "$fresh" ] || [ ! -s "$tarball" ]; then
    note "no image registry can be reached: making the base from Debian's packages"
    mkdir -p "$cache" && rm -f "$cache"/raworc_base-*.tar
    scripts/make-base.sh "$tarball"
  fi
  docker import -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' -c 'CMD ["bash"]' \
    -c 'LABEL raworc.image=base' "$tarball" "$base" >/dev/null
  note "base: $base, $(size_of "$base"), $(seconds "$started")"
}

# The Node.js of this checkout where it runs on the engine too, else the same version for the engine's machine; with npm.
# An image of its own, so that the context of the other images stays small.
make_node() {
  node=raworc_node:$node_version-$npm_version
  [ -z "$fresh" ] && docker image inspect "$node" >/dev/null 2>&1 && return
  local root=$context/node started
  started=$(date +%s%N)
  mkdir -p "$root/usr/local/bin" "$root/usr/local/lib/node_modules"
  if [ "$(node -p 'process.platform + process.arch')" = "linux$architecture" ]; then
    cp node_modules/node/bin/node "$root/usr/local/bin/node"
  else
    (cd "$context" && retry 3 npm pack --silent "node-linux-$architecture@$node_version" >/dev/null && tar -xzf node-linux-*.tgz)
    mv "$context/package/bin/node" "$root/usr/local/bin/node"
  fi
  cp -R node_modules/npm "$root/usr/local/lib/node_modules/npm"
  rm -rf "$root"/usr/local/lib/node_modules/npm/{docs,man}
  chmod -R u=rwX,go=rX "$root"
  tar -C "$root" --owner=0 --group=0 -c . | docker import -c 'LABEL raworc.image=node' - "$node" >/dev/null
  rm -rf "$root" "$context"/package "$context"/node-linux-*.tgz
  note "node: $node, $(size_of "$node"), $(seconds "$started")"
}

lay_context() {
  cp -R images/. "$context"
  mkdir -p "$context/certificates"
  cp "$certificates" "$context/certificates/machine.crt"
}

build_image() {
  local target=$1 tag=$2 started options
  started=$(date +%s%N)
  options=(--network host --force-rm --target "$target" --tag "$tag" --build-arg "BASE_IMAGE=$base" --build-arg "NODE_IMAGE=$node"
    --build-arg "RECIPE=$recipe" --build-arg "HOST=$host")
  [ -z "$fresh" ] || [ "$target" != session ] || options+=(--no-cache)
  for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    [ -z "${!name:-}" ] || options+=(--build-arg "$name")
  done
  local log=$context.log
  attempt() { timeout 1500 docker build "${options[@]}" "$context" >"$log" 2>&1; }
  if ! retry 3 attempt; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    fail "the image $tag could not be built" "see what the engine says above"
  fi
  rm -f "$log"
  note "$tag: $(size_of "$tag"), $(seconds "$started")"
}

if is_made "$session_image" && is_made "$builder_image"; then
  note "$session_image: $(size_of "$session_image"), unchanged"
  note "$builder_image: $(size_of "$builder_image"), unchanged"
  exit 0
fi
choose_base
make_node
lay_context
build_image session "$session_image"
build_image builder "$builder_image"
# What these tags named before. Layers that something still uses stay.
docker image prune --force --filter label=raworc.image >/dev/null
