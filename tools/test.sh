#!/usr/bin/env bash
# Run the tests with the race detector, against the real components. Arguments go to go test; without any, all of the
# project. A skipped test is a failure. The last line counts: "123 passed, 0 failed, 0 skipped".
. "$(dirname "$0")/env.sh"
cd "$root"

# Of one package. Acceptance tests start Terraform and dbt many times, at seconds each.
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
# The Kubernetes API server is a module of its own, so that the provider's go.mod stays lean; it takes minutes to compile once.
{
  go test -race -timeout "$timeout" -json ./...
  go -C internal/acctest/gatewayapi test -timeout "$timeout" -json ./...
} | testsum
