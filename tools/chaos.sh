#!/usr/bin/env bash
# Kill real applies at every point, spoil every kind of answer, fill the disk, let pairs of processes apply at once; then assert that
# nothing is lost, nothing is sent twice and nothing overlaps. Bounded to 20 minutes. KILLS is how many (default 500), PAIRS how many pairs (default 1000), SEED decides their order and times, FAULTS is how many
# cases each playbook meets behind the proxy (default 12; 0 for all of them, which takes an hour). The figures are printed.
. "$(dirname "$0")/env.sh"
cd "$root"

timeout=20m
kills=${KILLS:-500} pairs=${PAIRS:-1000} faults=${FAULTS:-12} seed=${SEED:-$RANDOM}
# Applies wait more than they compute, and a kill at a time of chance is the better for some disorder.
chains=4

TF_ACC_TERRAFORM_PATH=$(tools/terraform.sh)
export TF_ACC_TERRAFORM_PATH TF_ACC=1
tools/setup-elasticsearch.sh >/dev/null
say "chaos with SEED=$seed, $("$TF_ACC_TERRAFORM_PATH" version | head -n 1), dbt at $(tools/dbt.sh)"
begin=$SECONDS
# What the chains say is much, and of interest only where an assertion fails.
log=$build/chaos.log
go test -count=1 -timeout "$timeout" -parallel "$chains" ./internal/acctest/chaos -chaos.kills="$kills" -chaos.seed="$seed" >"$log" 2>&1 ||
  { cat "$log"; fail "chaos: an assertion failed; SEED=$seed repeats its order"; }
sed -n '/^seed: /,/^histories/p' "$log"
go test -count=1 -timeout "$timeout" ./internal/engine -run '^TestPairsOfProcessesNeverOverlap$' -pairs "$pairs" -v >"$log" 2>&1 ||
  { cat "$log"; fail "pairs: executions overlapped"; }
sed -n 's/.*pairs_test.go:[0-9]*: //p' "$log"
[ "$faults" = 0 ] || timeout=$((20 * 60 - (SECONDS - begin)))s
go test -count=1 -timeout "$timeout" -parallel "$chains" ./internal/acctest/faultproxy -faults.cases="$faults" -faults.seed="$seed" -v >"$log" 2>&1 ||
  { cat "$log"; fail "faults: an assertion failed; SEED=$seed repeats its order"; }
awk '/cases, seed/ {n += $2} END {printf "spoiled applies: %d, with every playbook behind the proxy\n", n}' "$log"
say "chaos took $((SECONDS - begin)) s"
