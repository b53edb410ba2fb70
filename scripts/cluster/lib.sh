# Shared by the scripts of this folder; sourced, never run.
# shellcheck shell=bash disable=SC2034

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
# shellcheck source=scripts/cluster/versions.env
source "$HERE/versions.env"

CLUSTER=${CLUSTER:-kind}              # kind or k3s
NAME=${NAME:-fl}                      # of the kind cluster
POOL_MEMORY_MB=${POOL_MEMORY_MB:-4096} # memory of all functions together
TIMEOUT_S=${TIMEOUT_S:-900}           # that a step may take until it is ready
STATE=${STATE:-$ROOT/.cache/cluster}  # kubeconfig, keys, certificate, chart
LOCK=${LOCK:-$HERE/images.lock}
RELEASE=owdev
IMAGE_NAME=serverless-fl/action-python-tensorflow
export KUBECONFIG=$STATE/kubeconfig   # ours: the user's own contexts are left alone

say() { printf '\n== %s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# need PROGRAM...: stops with what is missing, and where it is to be had.
need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || die "$program is not on PATH; see docs/cluster.md, \"What is needed\""
  done
}

# wait_until WHAT COMMAND...: tries every two seconds until it succeeds, for at most TIMEOUT_S.
wait_until() {
  local what=$1 give_up_at=$((SECONDS + TIMEOUT_S))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < give_up_at)) || die "$what: not ready after $TIMEOUT_S s; the last try was: $*"
    sleep 2
  done
}

# image_of KEY: the image with its tag, and with its digest where images.lock has one.
image_of() {
  local file=$HERE/images.txt image
  [[ -s $LOCK ]] && file=$LOCK
  image=$(awk -v key="$1" '$1 !~ /^#/ && $2 == key { print $3 ":" $4 }' "$file")
  [[ -n $image ]] || die "$file names no image for $1"
  printf '%s\n' "$image"
}

# as_root COMMAND...: k3s belongs to root.
as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

check_choice() {
  [[ $CLUSTER == kind || $CLUSTER == k3s ]] || die "CLUSTER=$CLUSTER; allowed: kind, k3s"
  [[ $POOL_MEMORY_MB =~ ^[1-9][0-9]*$ ]] || die "POOL_MEMORY_MB=$POOL_MEMORY_MB; must be a whole number of MiB"
  [[ $TIMEOUT_S =~ ^[1-9][0-9]*$ ]] || die "TIMEOUT_S=$TIMEOUT_S; must be a whole number of seconds"
}
