#!/usr/bin/env bash
# Find or install HAProxy and Prometheus, which the planner tests start, and Chromium, which opens reports. A second call does
# nothing.
. "$(dirname "$0")/env.sh"

missing=()
for name in haproxy prometheus chromium; do
  command -v "$name" >/dev/null || [ -x "/usr/sbin/$name" ] || missing+=("$name")
done
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "install ${missing[*]} and put them on the PATH"
  sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  # The packages start services, but the tests start their own.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod +x $policy
    trap '$sudo rm -f '$policy EXIT
  fi
  $sudo apt-get update -q
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${missing[@]}"
fi
say "HAProxy: $(haproxy -v | head -n 1). Prometheus: $(prometheus --version 2>&1 | head -n 1). $(chromium --version)"
