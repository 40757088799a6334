#!/usr/bin/env bash
# Run the dbt tests with each version of dbt Core that the provider supports, on DuckDB and PostgreSQL. Each version is installed
# once, into .build/dbt-VERSION. A version that can't be installed is named at the end, and then the script fails.
# VERSIONS="1.8 1.12" tries fewer. Arguments go to go test instead of the selection below, such as -run TestAccReviewedDryRun.
. "$(dirname "$0")/env.sh"
cd "$root"

read -ra versions <<<"${VERSIONS:-1.8 1.9 1.10 1.11 1.12}"
# Every feature once: plan with relations and content, apply, failure, retry_failed, cancellation, packages, microbatch models,
# scripts that start dbt, and the effect on each table.
target=./internal/target/dbt
acceptance=(./internal/resources/dbtrun ./internal/resources/dbtdeps ./internal/playbook/dbtrun)
features=ReviewedDryRun\|UnapprovedFullRefresh\|FailedCreateKeepsItsHistory\|ModelAddedAfterReview\|ChangedContentIsRefused
features+=\|RetryRunsWhatIsLeft\|InterruptStopsDBT\|PostgreSQL\|DependenciesThenModelsInOneApply\|DependenciesAreRefreshedOrRestored

# python_for VERSION: the first Python that dbt of that version runs on.
python_for() {
  local from=10 to=13 name
  case $1 in 1.8 | 1.9) from=9 to=12 ;; esac
  for name in "${PYTHON:-python3}" python3.{13,12,11,10,9}; do
    if "$name" -c "import sys, venv, ensurepip; sys.exit(not (3, $from) <= sys.version_info[:2] <= (3, $to))" 2>/dev/null; then
      printf '%s\n' "$name"
      return
    fi
  done
  say "dbt $1 needs Python 3.$from to 3.$to with its venv module; PYTHON=path names one"
  return 1
}

# install VERSION: pip's newest release of that version with the adapters that the tests use.
install() {
  local venv=$build/dbt-$1 python log=$build/dbt-$1.log
  [ ! -e "$venv/.installed" ] || return 0
  python=$(python_for "$1") || return 1
  say "installing dbt $1 into .build/dbt-$1 (once), with $("$python" --version)"
  rm -rf "$venv"
  "$python" -m venv "$venv" || return 1
  local pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
  if ! "${pip[@]}" "dbt-core~=$1.0" dbt-duckdb dbt-postgres >"$log" 2>&1; then
    # dbt 1.12 requires an experimental parser whose installation downloads a program from elsewhere. Nothing here uses it.
    if [ "$1" != 1.12 ] || ! without_parser >>"$log" 2>&1; then
      tail -n 5 "$log" >&2
      rm -rf "$venv"
      return 1
    fi
    say "dbt-core-experimental-parser could not be installed; the tests don't use it"
  fi
  touch "$venv/.installed"
}

# without_parser installs dbt and what it requires except for the experimental parser.
without_parser() {
  "${pip[@]}" --no-deps "dbt-core~=1.12.0" dbt-duckdb dbt-postgres || return 1
  "$venv/bin/python" -c '
import importlib.metadata as m
for r in m.requires("dbt-core"):
    if ";" not in r and "experimental-parser" not in r:
        print(r)
' >"$venv/requirements.txt" && "${pip[@]}" -r "$venv/requirements.txt" duckdb psycopg2-binary
}

# run_tests [ARGUMENT...]: go test with these arguments, or with the selection above.
run_tests() {
  if [ $# -gt 0 ]; then
    tools/test.sh -count=1 "$@" "$target" "${acceptance[@]}"
  else
    tools/test.sh -count=1 -skip '^TestRandomEditsAndTheDigest$' "$target" &&
      tools/test.sh -count=1 -run "^(TestAcc($features)|TestVerbsAreWhatDBTDoes)\$" "${acceptance[@]}"
  fi
}

missing=() failed=() passed=()
for version in "${versions[@]}"; do
  if ! install "$version"; then
    missing+=("$version")
    continue
  fi
  say "testing $("$build/dbt-$version/bin/python" -c 'import importlib.metadata as m, platform
print(*("%s %s" % (p, m.version(p)) for p in ("dbt-core", "dbt-duckdb", "dbt-postgres")), "on Python", platform.python_version())')"
  if REMEDIATION_TEST_DBT=$build/dbt-$version/bin/dbt run_tests "$@"; then passed+=("$version"); else failed+=("$version"); fi
done
say "passed: ${passed[*]:-none}. failed: ${failed[*]:-none}. could not be installed: ${missing[*]:-none}."
[ ${#failed[@]} = 0 ] && [ ${#missing[@]} = 0 ] || fail "not all versions of dbt passed"
