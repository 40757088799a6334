#!/usr/bin/env bash
# Find or install PostgreSQL, which the dbt tests start. A second call does nothing.
. "$(dirname "$0")/env.sh"

find_postgres() { command -v postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort | tail -n 1; }

if [ -z "$(find_postgres)" ]; then
  command -v apt-get >/dev/null || fail "install PostgreSQL and put it on the PATH"
  sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  # The package creates and starts a server, but the tests start their own.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod +x $policy
    trap '$sudo rm -f '$policy EXIT
  fi
  $sudo apt-get update -q
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends postgresql
fi
say "$("$(find_postgres)" --version)"
