#!/usr/bin/env bash
# Reindex index definitions of every kind while clients write in every way that the API has, and compare every document with a
# reference. Arguments go to the test, such as -test.v.
#   SEED          determines the order of the requests and of the definitions (default: random)
#   DEFINITIONS   number of definitions (default: all)
. "$(dirname "$0")/env.sh"
cd "$root"

seed=${SEED:-$RANDOM}
tools/setup-elasticsearch.sh >/dev/null
temporary
say "reindexing under writers with SEED=$seed"
go test -count=1 -timeout 60m -parallel 3 ./internal/target/elastic/reindex -run '^TestMatrix$' -v \
  -args -reindex.seed="$seed" -reindex.definitions="${DEFINITIONS:-1000}" "$@" >"$build/reindex.log" 2>&1 ||
  { cat "$build/reindex.log"; fail "a document differs; SEED=$seed repeats the order"; }
awk '/writes acknowledged/ {n += $2; refused += $5; cases++}
  END {printf "%d definitions, %d writes acknowledged, %d refused and repeated, 0 lost\n", cases, n, refused}' "$build/reindex.log"
