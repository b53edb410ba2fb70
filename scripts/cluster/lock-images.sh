#!/usr/bin/env bash
# Asks the registries for the digests of all images and writes images.lock: scripts/cluster/lock-images.sh [--again]
# A missing image is reported before anything is installed.
set -euo pipefail
# shellcheck source=scripts/cluster/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main() {
  [[ ${1:-} == --again || ! -s $LOCK ]] || { echo "$LOCK is there; --again asks anew" && return; }
  need docker awk
  local where key image tag digest missing=() draft=$LOCK.draft
  printf '# WHERE KEY IMAGE TAG@DIGEST, as the registries answered on %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$draft"
  while read -r where key image tag; do
    [[ -z $where || $where == \#* ]] && continue
    if digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image:$tag" 2>/dev/null) &&
      [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]]; then
      printf '%s %s %s %s@%s\n' "$where" "$key" "$image" "$tag" "$digest" >>"$draft"
    else
      missing+=("$image:$tag ($key)")
    fi
  done <"$HERE/images.txt"
  if ((${#missing[@]})); then
    rm -f "$draft"
    die "no digest of: ${missing[*]}. Is the registry reachable, and the image still there? Name another one in images.txt (docs/cluster.md, \"Images\")"
  fi
  mv "$draft" "$LOCK"
  echo "wrote $LOCK"
}

main "$@"
