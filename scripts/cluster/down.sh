#!/usr/bin/env bash
# Undoes up.sh: [CLUSTER=kind|k3s] scripts/cluster/down.sh
# The cluster goes with all that is in it, and the keys and certificates with it; images.lock stays.
set -euo pipefail
# shellcheck source=scripts/cluster/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main() {
  check_choice
  "remove_$CLUSTER"
  rm -rf "${STATE:?}"
  echo "gone: the cluster, and $STATE"
}

remove_kind() {
  need kind docker
  kind delete cluster --name "$NAME"
}

remove_k3s() {
  if [[ -e $STATE/k3s-is-ours ]]; then
    as_root /usr/local/bin/k3s-uninstall.sh
  elif [[ -s $KUBECONFIG ]]; then # it was there before: only what up.sh has put into it goes
    need helm kubectl
    helm uninstall "$RELEASE" --namespace openwhisk --ignore-not-found --wait --timeout "${TIMEOUT_S}s"
    kubectl delete namespace openwhisk minio --ignore-not-found --timeout="${TIMEOUT_S}s"
  fi
}

main "$@"
