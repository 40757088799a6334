#!/usr/bin/env bash
# Measure the provider beside what it drives, in one run and in turn: a provider without logic, Terraform's own resource,
# dbt, _reindex, raw inserts. Prints the ratios and writes them to templates/guides/performance.md; run make docs then.
# SIZES are the numbers of resources (default 10,100,1000; a run takes about eight minutes).
# Arguments go to "go test"; with any, nothing is written.
. "$(dirname "$0")/env.sh"
cd "$root"

timeout=90m
sizes=${SIZES:-10,100,1000}

tools/tool.sh benchtable
TF_ACC_TERRAFORM_PATH=$(tools/terraform.sh)
export TF_ACC_TERRAFORM_PATH TF_ACC=1
tools/setup-elasticsearch.sh >/dev/null
say "benchmarks with $("$TF_ACC_TERRAFORM_PATH" version | head -n 1) and dbt at $(tools/dbt.sh)"
temporary
if [ $# -gt 0 ]; then
  go test -run '^$' -bench . -benchtime 1x -timeout "$timeout" "$@"
  exit
fi
log=$build/bench.log
{
  go test -run '^$' -bench . -benchtime 200x -timeout "$timeout" ./internal/journal/sqlite
  go test -run '^$' -bench . -benchtime 1x -timeout "$timeout" ./internal/journal/elastic
  go test -run '^$' -bench Page -benchtime 1x -timeout "$timeout" ./internal/report
  go test -run '^$' -bench Writers -benchtime 1x -timeout "$timeout" ./internal/target/elastic/reindex
  go test -run '^$' -bench . -benchtime 1x -timeout "$timeout" ./internal/acctest/bench -args -sizes "$sizes"
} | tee "$log" >&2
benchtable templates/guides/performance.md <"$log"
awk '/^BenchmarkPage/ {for (i = 3; i < NF; i++) if ($(i + 1) == "chromium-ms")
  printf "Chromium opens a report of 5,000 executions in %.0f ms\n", $i}' "$log"
say "wrote templates/guides/performance.md; run make docs to write docs/guides/performance.md"
