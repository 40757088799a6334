#!/usr/bin/env bash
# Run every fuzz test for FUZZTIME each (default 10s). The seeds run with the other tests.
. "$(dirname "$0")/env.sh"
cd "$root"

say "fuzz tests, ${FUZZTIME:=10s} each"
while IFS=: read -r file name; do
  package=./$(dirname "$file")
  say "$package $name"
  go test -run '^$' -fuzz "^$name\$" -fuzztime "$FUZZTIME" "$package" >&2
done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9]+' internal | sed 's/func //')
