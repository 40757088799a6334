#!/usr/bin/env bash
# Run the dbt tests with each version of dbt Core that the provider supports, installed into .build/dbt-VERSION.
# VERSIONS="1.8 1.12" tries fewer. Arguments go to go test, such as -run TestAccReviewedDryRun.
. "$(dirname "$0")/env.sh"
cd "$root"

read -ra versions <<<"${VERSIONS:-1.8 1.9 1.10 1.11 1.12}"
tested=(./internal/target/dbt ./internal/resources/dbtrun)

# install VERSION: pip's newest release of that version with the adapters that the tests use.
install() {
  local venv=$build/dbt-$1
  [ ! -e "$venv/.installed" ] || return 0
  say "installing dbt $1 into .build/dbt-$1 (once)"
  rm -rf "$venv"
  "${PYTHON:-python3}" -m venv "$venv"
  local pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
  if [ "$1" = 1.12 ]; then
    # dbt 1.12 requires an experimental parser that its installation downloads from elsewhere. Nothing here uses it.
    "${pip[@]}" --no-deps "dbt-core~=$1.0" dbt-duckdb dbt-postgres >&2
    "$venv/bin/python" -c '
import importlib.metadata as m
for r in m.requires("dbt-core"):
    if ";" not in r and "experimental-parser" not in r:
        print(r)
' >"$venv/requirements.txt"
    "${pip[@]}" -r "$venv/requirements.txt" duckdb psycopg2-binary >&2
  else
    "${pip[@]}" "dbt-core~=$1.0" dbt-duckdb dbt-postgres >&2
  fi
  touch "$venv/.installed"
}

failed=()
for version in "${versions[@]}"; do
  install "$version"
  dbt=$build/dbt-$version/bin/dbt
  say "testing $("$build/dbt-$version/bin/python" -c 'import importlib.metadata as m
print(*("%s %s" % (p, m.version(p)) for p in ("dbt-core", "dbt-duckdb", "dbt-postgres")))')"
  REMEDIATION_TEST_DBT=$dbt tools/test.sh -count=1 "$@" "${tested[@]}" || failed+=("$version")
done
[ ${#failed[@]} = 0 ] || fail "the tests failed with dbt ${failed[*]}"
