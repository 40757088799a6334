#!/usr/bin/env bash
# Compare what plans say with what dbt does:
# - 300 random combinations of materialization, configuration, full refresh, and existing tables on DuckDB and PostgreSQL: the
#   effect on each table, compared with dbt's statements and with the tables afterwards
# - 210 random selections over three projects, compared with dbt ls
# SEED=n repeats a run.
. "$(dirname "$0")/env.sh"
cd "$root"

seed=${SEED:-$RANDOM}
say "seed $seed"
REMEDIATION_TEST_VERBS=75 REMEDIATION_TEST_SELECTIONS=70 REMEDIATION_TEST_SEED=$seed \
  tools/test.sh -count=1 -run '^(TestVerbsAreWhatDBTDoes|TestSelectionsAreThoseOfDBT)$' \
  ./internal/playbook/dbtrun ./internal/target/dbt
