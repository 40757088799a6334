#!/usr/bin/env bash
# Run the benchmarks, against real Terraform, dbt and Elasticsearch. Arguments go to go test; without any, all of the project.
. "$(dirname "$0")/env.sh"
cd "$root"

timeout=40m

TF_ACC_TERRAFORM_PATH=$(tools/terraform.sh)
export TF_ACC_TERRAFORM_PATH TF_ACC=1
tools/setup-elasticsearch.sh >/dev/null
say "benchmarks, with $("$TF_ACC_TERRAFORM_PATH" version | head -n 1) and dbt at $(tools/dbt.sh)"
temporary
go test -run '^$' -bench . -benchtime 1x -timeout "$timeout" "${@:-./...}"
