#!/usr/bin/env bash
# Install the pinned dbt into a virtual environment at .build/dbt, once, and print the path of its executable.
. "$(dirname "$0")/env.sh"

venv=$build/dbt
requirements=$root/tools/dbt-requirements.txt
constraints=$root/tools/dbt-constraints.txt
stamp=$venv/.installed
made_from=$(cat "$requirements" "$constraints" | cksum)

if [ ! -x "$venv/bin/dbt" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$made_from" ]; then
  python=${PYTHON:-python3}
  command -v "$python" >/dev/null || fail "Python 3 is needed for dbt (Debian: apt-get install python3 python3-venv)"
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "Python's venv module is missing (Debian: apt-get install python3-venv)"
  say "installing dbt into .build/dbt (once)"
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" -c "$constraints" >&2
  "$venv/bin/dbt" --version >/dev/null
  printf '%s\n' "$made_from" >"$stamp"
fi
# Only dbt is on the PATH, not the environment's Python.
ln -sfn ../dbt/bin/dbt "$bin/dbt"
printf '%s\n' "$venv/bin/dbt"
