# The steps of up.sh; sourced after lib.sh. Each looks at what there is before it acts.
# shellcheck shell=bash

make_kind() {
  if ! kind get clusters 2>/dev/null | grep -qx "$NAME"; then
    kind create cluster --name "$NAME" --image "$KIND_NODE_IMAGE" --config "$HERE/kind.yaml" --wait "${TIMEOUT_S}s"
  fi
  kind export kubeconfig --name "$NAME"
}

make_k3s() {
  if ! command -v k3s >/dev/null; then
    curl -fsSL "https://raw.githubusercontent.com/k3s-io/k3s/${K3S_VERSION/+/%2B}/install.sh" -o "$STATE/install-k3s.sh"
    as_root env INSTALL_K3S_VERSION="$K3S_VERSION" sh "$STATE/install-k3s.sh" --disable traefik
    touch "$STATE/k3s-is-ours" # down.sh removes only what this script has installed
  fi
  wait_until "k3s" as_root k3s kubectl get --raw /readyz
  (umask 077 && as_root cat /etc/rancher/k3s/k3s.yaml >"$KUBECONFIG")
}

install_metrics_server() {
  if [[ $CLUSTER == kind ]]; then # k3s brings its own
    local folder=$STATE/metrics-server
    mkdir -p "$folder"
    sed -e "s|@TAG@|$METRICS_SERVER_TAG|" -e "s|@IMAGE@|$(image_of metrics_server)|" \
      "$HERE/metrics-server.yaml" >"$folder/kustomization.yaml"
    kubectl apply -k "$folder"
  fi
  kubectl -n kube-system rollout status deployment/metrics-server --timeout="${TIMEOUT_S}s"
  kubectl wait --for=condition=Available apiservice/v1beta1.metrics.k8s.io --timeout="${TIMEOUT_S}s"
}

install_minio() {
  if [[ ! -s $STATE/minio.env ]]; then
    (umask 077 && printf 'MINIO_ROOT_USER=fl-%s\nMINIO_ROOT_PASSWORD=%s\n' \
      "$(openssl rand -hex 6)" "$(openssl rand -hex 20)" >"$STATE/minio.env")
  fi
  kubectl create namespace minio --dry-run=client -o yaml | kubectl apply -f -
  kubectl -n minio create secret generic minio --from-env-file="$STATE/minio.env" --dry-run=client -o yaml |
    kubectl apply -f -
  local host_ip=127.0.0.1
  [[ $CLUSTER == kind ]] && host_ip=0.0.0.0 # of the node's container, whose port kind.yaml publishes on loopback
  sed -e "s|image: minio\$|image: $(image_of minio)|" -e "s|hostIP: .*|hostIP: $host_ip|" "$HERE/minio.yaml" |
    kubectl apply -f -
  kubectl -n minio rollout status deployment/minio --timeout="${TIMEOUT_S}s"
}

install_openwhisk() {
  fetch_chart
  make_secrets
  make_certificate
  write_values
  helm upgrade --install "$RELEASE" "$STATE/chart/helm/openwhisk" --namespace openwhisk \
    --values "$HERE/openwhisk.yaml" --values "$STATE/values.yaml" --values "$STATE/secrets.yaml"
  local workload
  for workload in statefulset/zookeeper statefulset/kafka deployment/couchdb statefulset/controller \
    statefulset/invoker deployment/nginx; do
    kubectl -n openwhisk rollout status "${workload/\//\/$RELEASE-}" --timeout="${TIMEOUT_S}s"
  done
  wait_until "a healthy invoker" invoker_is_healthy
}

fetch_chart() {
  local chart=$STATE/chart
  if [[ $(git -C "$chart" rev-parse HEAD 2>/dev/null) != "$CHART_COMMIT" ]]; then
    rm -rf "$chart"
    git init --quiet "$chart"
    git -C "$chart" fetch --quiet --depth 1 "$CHART_REPOSITORY" "$CHART_COMMIT"
    git -C "$chart" checkout --quiet FETCH_HEAD
  fi
  local nodejs
  nodejs=$(image_of action_nodejs) # the chart's own packages are written for it
  sed -e "s|@TAG@|$("$ROOT/scripts/runtime/build.sh" --print-tag)|" -e "s|@NODEJS_TAG@|${nodejs#*:}|" "$HERE/runtimes.json" \
    >"$chart/helm/openwhisk/runtimes-federated.json"
}

# Keys of our own: the chart's are public. They stay in files, because the process list is public too.
make_secrets() {
  [[ -s $STATE/secrets.yaml ]] && return
  local guest system
  guest=$(new_key) system=$(new_key)
  (
    umask 077
    printf '%s' "$guest" >"$STATE/openwhisk.auth"
    printf 'whisk:\n  auth:\n    system: "%s"\n    guest: "%s"\ndb:\n  auth:\n    password: "%s"\n' \
      "$system" "$guest" "$(openssl rand -hex 20)" >"$STATE/secrets.yaml"
  )
}

# uuid:key, 64 characters, as OpenWhisk makes them
new_key() {
  local hex
  hex=$(openssl rand -hex 16)
  printf '%s-%s-%s-%s-%s:%s\n' "${hex:0:8}" "${hex:8:4}" "${hex:12:4}" "${hex:16:4}" "${hex:20:12}" "$(openssl rand -hex 32)"
}

# The chart's own certificate names no host in the way that clients check today. The chart takes one that is there.
make_certificate() {
  if [[ ! -s $STATE/ca.pem ]]; then
    openssl req -x509 -newkey rsa:2048 -nodes -sha256 -days 365 -subj "/CN=localhost" \
      -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -addext "keyUsage=critical,digitalSignature,keyCertSign" \
      -keyout "$STATE/key.pem" -out "$STATE/ca.pem" 2>/dev/null
    chmod 600 "$STATE/key.pem"
  fi
  kubectl create namespace openwhisk --dry-run=client -o yaml | kubectl apply -f -
  kubectl -n openwhisk create secret tls "$RELEASE-nginx" --cert="$STATE/ca.pem" --key="$STATE/key.pem" \
    --dry-run=client -o yaml | kubectl apply -f -
}

# The pool's size, and every image with its digest: the chart writes imageName:imageTag.
write_values() {
  {
    printf 'whisk:\n  containerPool:\n    userMemory: "%sm"\n' "$POOL_MEMORY_MB"
    awk '$1 == "chart" { printf "%s:\n  imageName: \"%s\"\n  imageTag: \"%s\"\n", $2, $3, $4 }' "$LOCK"
  } >"$STATE/values.yaml"
}

invoker_is_healthy() {
  local count
  count=$(curl --silent --fail --max-time 10 --cacert "$STATE/ca.pem" https://localhost:31001/invokers/healthy/count)
  [[ $count =~ ^[1-9] ]]
}

print_next_steps() {
  # shellcheck source=/dev/null
  source "$STATE/minio.env"
  (
    umask 077
    printf 'export OPENWHISK_AUTH=%s\nexport MINIO_ACCESS_KEY=%s\nexport MINIO_SECRET_KEY=%s\n' \
      "$(cat "$STATE/openwhisk.auth")" "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" >"$STATE/env.sh"
  )
  local choices="platform.api_host=https://localhost:31001 platform.ca_file=$STATE/ca.pem \\
    store=minio store.endpoint=127.0.0.1:31900 store.functions_endpoint=minio.minio.svc.cluster.local:9000 \\
    cluster=kubernetes cluster.kubeconfig=$KUBECONFIG"
  cat <<END

Ready. The credentials are in a file that only you can read:

  source $STATE/env.sh

What would not work, before anything is measured:

  python -m experiments.preflight +exp=quickstart $choices

The first comparison:

  python -m experiments.run +exp=quickstart $choices

Undo all of it: CLUSTER=$CLUSTER scripts/cluster/down.sh
END
}
