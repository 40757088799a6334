#!/usr/bin/env bash
# Kill real applies at every point, corrupt every kind of response, fill the disk, and let pairs of processes apply at the same
# time. Then assert that nothing is lost, nothing is sent twice, and nothing overlaps, and print the figures.
#   KILLS    number of kills (default 500)
#   PAIRS    number of pairs for each kind of journal (default 1000)
#   FAULTS   number of cases for each playbook behind the proxy (default 12; 0 for all of them, which takes an hour)
#   SEED     determines the order and the times
#   MINUTES  limits the whole run (default 20); a busy machine needs more
. "$(dirname "$0")/env.sh"
cd "$root"

minutes=${MINUTES:-20}
kills=${KILLS:-500} pairs=${PAIRS:-1000} faults=${FAULTS:-12} seed=${SEED:-$RANDOM}
# Applies mostly wait, and some disorder makes random kills more useful.
chains=4

TF_ACC_TERRAFORM_PATH=$(tools/terraform.sh)
export TF_ACC_TERRAFORM_PATH TF_ACC=1
tools/setup-elasticsearch.sh >/dev/null
temporary
say "chaos with SEED=$seed, $("$TF_ACC_TERRAFORM_PATH" version | head -n 1), dbt at $(tools/dbt.sh)"
begin=$SECONDS
# The time that is left, at least one minute.
left() {
  local rest=$((minutes * 60 - SECONDS + begin))
  echo "$((rest > 60 ? rest : 60))s"
}
# The chains print a lot, which only matters if an assertion fails.
log=$build/chaos.log
# Three quarters of the time are for the kills. A round that has started is completed.
go test -count=1 -timeout "${minutes}m" -parallel "$chains" ./internal/acctest/chaos -chaos.kills="$kills" -chaos.seed="$seed" \
  -chaos.for="$((minutes * 45))s" -v >"$log" 2>&1 ||
  { cat "$log"; fail "chaos: an assertion failed; SEED=$seed repeats its order"; }
sed -n '/^seed: /,/^histories/p' "$log"
go test -count=1 -timeout "$(left)" ./internal/engine -run '^TestPairsOfProcessesNeverOverlap$' -pairs "$pairs" -pairs.shared "$pairs" -v >"$log" 2>&1 ||
  { cat "$log"; fail "pairs: executions overlapped"; }
sed -n 's/.*pairs_test.go:[0-9]*: //p' "$log"
[ "$faults" != 0 ] || minutes=$((minutes + 60))
go test -count=1 -timeout "$(left)" -parallel "$chains" ./internal/acctest/faultproxy -faults.cases="$faults" -faults.seed="$seed" -v >"$log" 2>&1 ||
  { cat "$log"; fail "faults: an assertion failed; SEED=$seed repeats its order"; }
awk '/cases, seed/ {n += $2} END {printf "corrupted applies: %d, with every playbook behind the proxy\n", n}' "$log"
SEED=$seed tools/front-matrix.sh
say "chaos took $((SECONDS - begin)) s"
