#!/usr/bin/env bash
# Look up known vulnerabilities in the code that the provider calls. Needs access to vuln.go.dev.
. "$(dirname "$0")/env.sh"
cd "$root"

tools/tool.sh govulncheck
govulncheck ./...
