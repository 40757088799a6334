#!/usr/bin/env bash
# Look up known vulnerabilities in what the provider's code calls. Needs vuln.go.dev.
. "$(dirname "$0")/env.sh"
cd "$root"

tools/tool.sh govulncheck
govulncheck ./...
