#!/usr/bin/env bash
# Install what the tests need: the pinned tools, dbt, Terraform, Elasticsearch, HAProxy, and Prometheus. A second call does
# nothing.
. "$(dirname "$0")/env.sh"

"$root/tools/tool.sh" golangci-lint deadcode tfplugindocs testsum
"$root/tools/dbt.sh" >/dev/null
terraform=$("$root/tools/terraform.sh")
"$root/tools/setup-elasticsearch.sh" >/dev/null
"$root/tools/setup-planner.sh"
"$root/tools/setup-postgresql.sh"
command -v "${CC:-gcc}" >/dev/null || fail "Go's race detector needs a C compiler (Debian: apt-get install gcc libc6-dev)"
say "$(go env GOVERSION); $(grep -v "^#" "$root/tools/dbt-requirements.txt" | xargs); $("$terraform" version | head -n 1) at $terraform"
