# shellcheck shell=bash
# Sourced by every script here: strict mode, the project's folders, and an environment that doesn't depend on the machine.
# Sets root, build and bin.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/.build
bin=$build/bin
mkdir -p "$bin"

# Without a home folder there is no default place for caches.
if [ -z "${HOME:-}" ]; then
  export GOPATH=${GOPATH:-$build/cache/gopath} GOCACHE=${GOCACHE:-$build/cache/go} PIP_CACHE_DIR=${PIP_CACHE_DIR:-$build/cache/pip}
  export GOMODCACHE=${GOMODCACHE:-$GOPATH/pkg/mod}
fi
export GOLANGCI_LINT_CACHE=$build/cache/golangci-lint

# A missing configuration file makes Terraform warn on every command.
if [ -n "${TF_CLI_CONFIG_FILE:-}" ] && [ ! -f "$TF_CLI_CONFIG_FILE" ]; then
  unset TF_CLI_CONFIG_FILE
fi
export CHECKPOINT_DISABLE=1 DBT_SEND_ANONYMOUS_USAGE_STATS=false
# The version from git is not used, and asking for it fails if git doesn't trust the folder's owner.
export GOFLAGS="-buildvcs=false ${GOFLAGS:-}"
export PATH=$bin:$PATH

# temporary: create a folder for what the tests leave behind, such as binaries and the files of killed processes, and remove it at
# the end. Other users must be able to read it, and its path is short because the paths of sockets must be.
temporary() {
  TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/rt.XXX")
  export TMPDIR
  chmod 711 "$TMPDIR"
  trap 'rm -rf "$TMPDIR"' EXIT
}

say() { printf '==> %s\n' "$*" >&2; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
