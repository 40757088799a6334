#!/usr/bin/env bash
# go vet, golangci-lint and deadcode for the provider; go vet for the tools.
. "$(dirname "$0")/env.sh"
cd "$root"

tools/tool.sh golangci-lint deadcode
say "go vet"
go vet ./...
go -C tools vet ./...
say "golangci-lint"
golangci-lint run --allow-parallel-runners ./...
say "deadcode"
dead=$(deadcode -test ./...)
[ -z "$dead" ] || fail "unused functions:"$'\n'"$dead"
