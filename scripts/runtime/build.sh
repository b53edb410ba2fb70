#!/usr/bin/env bash
# The image of the functions: scripts/runtime/build.sh [--load | --push REGISTRY | --print-tag]
#   --load       build it and load it into the cluster of scripts/cluster (CLUSTER=kind or k3s)
#   --push       build it and push it to a registry, such as ghcr.io/somebody
#   --print-tag  only print its tag: a hash of all that goes into it, so that it is built once and never confused
# BASE=IMAGE names another image to build on, with Python 3.11 as `python`; nothing else is then asked of a registry.
set -euo pipefail
# shellcheck source=scripts/cluster/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../cluster/lib.sh"

INPUTS=(constraints.txt scripts/runtime/Dockerfile scripts/runtime/requirements.txt scripts/runtime/serve.py
  serverless/emulator/containers/action_proxy.py)

base() { if [[ -n ${BASE:-} ]]; then printf '%s\n' "$BASE"; else image_of python_base; fi; }

tag() {
  local on
  on=$(base)
  { (cd "$ROOT" && sha256sum "${INPUTS[@]}") && printf '%s\n' "$on"; } | sha256sum | cut -c 1-12
}

build() {
  need docker
  docker image inspect "$1" >/dev/null 2>&1 && return
  docker build --tag "$1" --build-arg "BASE=$(base)" --file "$ROOT/scripts/runtime/Dockerfile" "$ROOT"
}

load() {
  if [[ $CLUSTER == kind ]]; then
    kind load docker-image "$1" --name "$NAME"
  else
    docker save "$1" | as_root k3s ctr images import -
  fi
}

main() {
  check_choice
  local image
  image=$IMAGE_NAME:$(tag)
  case ${1:-} in
    --print-tag) tag ;;
    --load) build "$image" && load "$image" ;;
    --push)
      [[ -n ${2:-} ]] || die "--push needs a registry, such as ghcr.io/somebody"
      build "$image"
      docker tag "$image" "$2/$image"
      docker push "$2/$image"
      ;;
    "") build "$image" && echo "$image" ;;
    *) die "$1: unknown; allowed: --load, --push REGISTRY, --print-tag" ;;
  esac
}

main "$@"
