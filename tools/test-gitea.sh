#!/usr/bin/env bash
# Post reviews to a real Gitea and read how they are rendered. Building Gitea once takes minutes, and needs gcc.
. "$(dirname "$0")/env.sh"
cd "$root"

tools/tool.sh gitea
temporary
TF_ACC_TERRAFORM_PATH=$(tools/terraform.sh)
export TF_ACC_TERRAFORM_PATH TF_ACC=1
export REMEDIATION_TEST_GITEA=$bin/gitea
# Its templates are in the folder of the module.
REMEDIATION_TEST_GITEA_STATIC=$(go -C tools/gitea list -m -f '{{.Dir}}' code.gitea.io/gitea)
export REMEDIATION_TEST_GITEA_STATIC
say "tests with $("$REMEDIATION_TEST_GITEA" --version)"
go test -count=1 -tags gitea "$@" ./internal/acctest/giteatest
