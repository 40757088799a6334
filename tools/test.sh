#!/usr/bin/env bash
# Run the tests with the race detector, against the real components. Arguments are passed to go test; without arguments, all
# tests run. A skipped test is a failure. The last line counts: "123 passed, 0 failed, 0 skipped".
. "$(dirname "$0")/env.sh"
cd "$root"

# For one package. Acceptance tests start Terraform and dbt many times, which takes seconds each time.
timeout=25m

tools/tool.sh testsum
temporary
TF_ACC_TERRAFORM_PATH=$(tools/terraform.sh)
export TF_ACC_TERRAFORM_PATH TF_ACC=1
say "tests, with $("$TF_ACC_TERRAFORM_PATH" version | head -n 1) and dbt at $(tools/dbt.sh)"
if [ $# -gt 0 ]; then
  go test -race -timeout "$timeout" -json "$@" | testsum
  exit
fi
go -C tools test ./...
# The Kubernetes API server is a separate module, to keep the provider's go.mod lean. Compiling it takes minutes, once.
{
  go test -race -timeout "$timeout" -json ./...
  go -C internal/acctest/gatewayapi test -timeout "$timeout" -json ./...
} | testsum
