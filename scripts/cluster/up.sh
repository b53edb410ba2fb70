#!/usr/bin/env bash
# From nothing to a ready cluster: [CLUSTER=kind|k3s] [POOL_MEMORY_MB=4096] scripts/cluster/up.sh
# Every step may be run again; down.sh undoes all of them.
set -euo pipefail
# shellcheck source=scripts/cluster/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/cluster/steps.sh
source "$HERE/steps.sh"

main() {
  check_choice
  need docker kubectl helm git openssl curl awk "$([[ $CLUSTER == kind ]] && echo kind || echo sh)"
  mkdir -p "$STATE"
  chmod 700 "$STATE"
  say "images: digests"
  "$HERE/lock-images.sh"
  say "cluster: $CLUSTER"
  "make_$CLUSTER"
  kubectl wait --for=condition=Ready node --all --timeout="${TIMEOUT_S}s"
  say "the functions' image"
  "$ROOT/scripts/runtime/build.sh" --load
  say "metrics-server"
  install_metrics_server
  say "MinIO"
  install_minio
  say "OpenWhisk"
  install_openwhisk
  print_next_steps
}

main "$@"
