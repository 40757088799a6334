#!/usr/bin/env bash
# Run the tests with the race detector, against the real components. Arguments go to go test; without any, everything runs.
# A skipped test is a failure. The last line has the counts: "123 passed, 0 failed, 0 skipped".
. "$(dirname "$0")/env.sh"
cd "$root"

# Per package. Acceptance tests start Terraform and dbt many times, which takes seconds each time.
timeout=25m
# The tests of a package often wait for dbt, Terraform or a clock, so more packages than processors run at the same time.
packages=$(($(getconf _NPROCESSORS_ONLN) + 1))
# These packages take longest. They start first, so that none of them runs alone at the end.
slow=(./internal/resources/dbtrun ./internal/journal/elastic ./internal/target/dbt ./internal/engine ./internal/provider)

tools/tool.sh testsum
temporary
TF_ACC_TERRAFORM_PATH=$(tools/terraform.sh)
export TF_ACC_TERRAFORM_PATH TF_ACC=1

# share starts one Elasticsearch and builds one provider for all packages. Tests wait for the server where they need it.
share() {
  say "building the provider and what the tests share"
  mkdir "$TMPDIR/provider"
  go build -o "$TMPDIR/elasticsearch-server" ./internal/acctest/elastictest/serve
  export REMEDIATION_TEST_ELASTICSEARCH_SHARED=$TMPDIR/elasticsearch.json
  # The server ends when the pipe that it reads is closed, however this script ends.
  mkfifo "$TMPDIR/alive"
  "$TMPDIR/elasticsearch-server" <"$TMPDIR/alive" >&2 &
  server=$!
  exec 3>"$TMPDIR/alive"
  trap 'exec 3>&-; wait "$server" || true; rm -rf "$TMPDIR"' EXIT
  # As a release is built, see .goreleaser.yml.
  CGO_ENABLED=0 go build -tags grpcnotrace,nethttpomithttp2 -trimpath -ldflags "-s -w -funcalign=16" -o "$TMPDIR/provider/terraform-provider-remediation" .
  export REMEDIATION_TEST_PROVIDER=$TMPDIR/provider
}

say "tests with $("$TF_ACC_TERRAFORM_PATH" version | head -n 1) and dbt at $(tools/dbt.sh)"
if [ $# -gt 0 ]; then
  # A run of many packages shares; one of a few packages may not need what is shared.
  many=4
  if [ "$(printf '%s\n' "$@" | grep -c '^\./')" -ge "$many" ] || [[ " $* " == *" ./... "* ]]; then share; fi
  go test -race -p "$packages" -timeout "$timeout" -json "$@" 3>&- | testsum
  exit
fi
share
go -C tools test ./... 3>&-
# The Kubernetes API server is in its own module, which keeps the provider's go.mod small. Compiling it once takes minutes.
{
  go test -race -p "$packages" -timeout "$timeout" -json "${slow[@]}" ./... 3>&-
  go -C internal/acctest/gatewayapi test -timeout "$timeout" -json ./... 3>&-
} | testsum
