#!/usr/bin/env bash
# Plan and run 300 random combinations of materialization, configuration, full refresh, and existing tables on DuckDB and
# PostgreSQL, and compare what the plan says with what dbt does. SEED=n repeats a run.
. "$(dirname "$0")/env.sh"
cd "$root"

seed=${SEED:-$RANDOM}
say "seed $seed"
REMEDIATION_TEST_VERBS=75 REMEDIATION_TEST_SEED=$seed \
  tools/test.sh -count=1 -run '^TestVerbsAreWhatDBTDoes$' ./internal/playbook/dbtrun
