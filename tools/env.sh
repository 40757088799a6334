# shellcheck shell=bash
# Sourced by every script here: strict mode, the project's folders, and an environment that does not depend on the machine's.
# Sets root, build and bin.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/.build
bin=$build/bin
mkdir -p "$bin"

# Without a home there is no default place for caches.
if [ -z "${HOME:-}" ]; then
  export GOPATH=${GOPATH:-$build/cache/gopath} GOCACHE=${GOCACHE:-$build/cache/go} PIP_CACHE_DIR=${PIP_CACHE_DIR:-$build/cache/pip}
  export GOMODCACHE=${GOMODCACHE:-$GOPATH/pkg/mod}
fi
export GOLANGCI_LINT_CACHE=$build/cache/golangci-lint

# A configuration file that is named and missing makes Terraform warn at every command.
if [ -n "${TF_CLI_CONFIG_FILE:-}" ] && [ ! -f "$TF_CLI_CONFIG_FILE" ]; then
  unset TF_CLI_CONFIG_FILE
fi
export CHECKPOINT_DISABLE=1 DBT_SEND_ANONYMOUS_USAGE_STATS=false
# A version from git is not used, and asking for it fails where git does not trust the folder's owner.
export GOFLAGS="-buildvcs=false ${GOFLAGS:-}"
export PATH=$bin:$PATH

# temporary makes a folder for what the tests leave behind, and removes it at the end: binaries, and whatever a killed process could not remove. Others
# than the user look into it, and paths of sockets are short.
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
