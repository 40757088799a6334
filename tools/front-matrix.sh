#!/usr/bin/env bash
# Compare the answers for unchanged resources with the framework's, for random states and configurations of every resource type, and
# print how many were compared. It takes about a minute per 10,000 answers on two cores.
#   CALLS  number of answers to compare (default 12000)
#   SEED   determines the states and configurations
. "$(dirname "$0")/env.sh"
cd "$root"

calls=${CALLS:-12000} seed=${SEED:-$RANDOM}
temporary
log=$TMPDIR/front.log
say "answers of the front, with SEED=$seed"
# The framework leaves much garbage, and the run needs little memory.
GOGC=400 go test -count=1 -timeout 30m ./internal/provider -run '^TestFrontAnswersAsTheFramework$' -front.calls="$calls" \
  -front.seed="$seed" -v >"$log" 2>&1 || { cat "$log"; fail "front: an answer differs from the framework's; SEED=$seed repeats it"; }
sed -n 's/.*unchanged_test.go:[0-9]*: //p' "$log"
