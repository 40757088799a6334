#!/usr/bin/env bash
# Format the Go code and the examples, or with "check" fail and list what is not formatted.
. "$(dirname "$0")/env.sh"
cd "$root"

mode=${1:-write}
terraform=$(tools/terraform.sh)
mapfile -t sources < <(git ls-files --cached --others --exclude-standard '*.go')
present=()
for file in "${sources[@]}"; do
  if [ -f "$file" ]; then present+=("$file"); fi
done
case $mode in
  write)
    gofmt -w "${present[@]}"
    "$terraform" fmt -recursive examples
    ;;
  check)
    say "formatting of Go and of the examples"
    unformatted=$(gofmt -l "${present[@]}")
    [ -z "$unformatted" ] || fail "not formatted, run make fmt:"$'\n'"$unformatted"
    "$terraform" fmt -check -recursive examples || fail "not formatted, run make fmt"
    ;;
  *) fail "usage: tools/fmt.sh [check]" ;;
esac
