#!/usr/bin/env bash
# go vet and golangci-lint over the provider; go vet over the tools.
. "$(dirname "$0")/env.sh"
cd "$root"

tools/tool.sh golangci-lint
say "go vet"
go vet ./...
go -C tools vet ./...
say "golangci-lint"
golangci-lint run --allow-parallel-runners ./...
