#!/usr/bin/env bash
# The demo: one incident from the dry run to the history, with a real Terraform, a real dbt, and the provider as built here.
# Everything happens in .build/demo, which is created from scratch each time. Nothing keeps running.
. "$(dirname "$0")/env.sh"
cd "$root"

demo=$build/demo
version=0.0.1 # of the provider, in the demo's own mirror

# step TITLE: start a step.
step() { printf '\n\033[1m### %s\033[0m\n' "$*"; }

# tf ARGUMENT...: show a Terraform command, then run it in the demo's folder.
tf() {
  printf '\n$ terraform %s\n' "$*"
  "$terraform" -chdir="$demo" "$@"
}

# refused ARGUMENT...: run a Terraform command that has to fail.
refused() {
  if tf "$@"; then fail "terraform $1 should have failed here"; fi
  printf '(terraform exited with an error, as it should)\n'
}

say "compiling the provider and installing dbt, side by side (two to three minutes the first time)"
tools/dbt.sh >/dev/null &
dbt=$!
go build -tags grpcnotrace,nethttpomithttp2 -trimpath -ldflags "-s -w -X main.version=$version" -o "$bin/terraform-provider-remediation" .
if kill -0 "$dbt" 2>/dev/null; then say "the provider is compiled after $SECONDS s; waiting for the installation of dbt"; fi
wait "$dbt" || fail "dbt could not be installed"
PATH=$build/dbt/bin:$PATH
say "set up after $SECONDS s"
terraform=$(tools/terraform.sh)

rm -rf "$demo"
mkdir -p "$demo"
cp -r examples/demo/. "$demo"
raw() { "$build/dbt/bin/python" "$demo/dbt/scripts/make_data.py" "$@" "$demo/raw"; }

# terraform init installs the provider from this mirror, as it would from a registry.
mirror=$demo/mirror/registry.terraform.io/applylens/remediation/$version/$(go env GOOS)_$(go env GOARCH)
mkdir -p "$mirror"
cp "$bin/terraform-provider-remediation" "$mirror/terraform-provider-remediation_v$version"
cat >"$demo/terraformrc" <<RC
provider_installation {
  filesystem_mirror { path = "$demo/mirror" }
}
RC
export TF_CLI_CONFIG_FILE=$demo/terraformrc TF_IN_AUTOMATION=1 TF_INPUT=0

step "1. The input: raw exports of a mail system, a few thousand rows"
raw
tf init -no-color | sed -n '/Installed\|successfully/p'

step "2. The plan is the dry run: what would run, where, for how long, at what cost, and who must approve"
tf plan -out=reviewed.tfplan

step "3. Apply runs what was reviewed"
tf apply reviewed.tfplan

step "4. Nothing is left to do"
tf plan -detailed-exitcode

step "5. A full refresh needs an approval: plan says so, and apply refuses before anything has run"
refused apply -auto-approve -var full_refresh=true

step "6. The same full refresh, approved"
tf apply -auto-approve -var full_refresh=true -var approved_by=lead@example.com

step "7. An export arrives with broken rows: the model fails, and the failure is kept"
raw --broken-rows 3
refused apply -auto-approve -var run=2

step "8. The export is repaired, and the next apply succeeds"
raw
tf apply -auto-approve -var run=2

step "9. A canary gets more traffic: this needs an approval, and happens step by step"
canary() {
  printf '\n$ terraform %s\n' "$*"
  "$terraform" -chdir="$demo/canary" "$@"
}
"$terraform" -chdir="$demo/canary" init -no-color >/dev/null
if canary apply -auto-approve; then fail "terraform apply should have failed here"; fi
canary apply -auto-approve -var approved_by=lead@example.com
cat "$demo/canary/planner.json"

step "10. The canary regresses: contain it at 5%, watch it, roll it back only if that does not help, resolve the incident"
began=$SECONDS
"$build/dbt/bin/python" "$demo/regression/service.py" "$demo/service-address" &
service=$!
trap 'kill "$service" 2>/dev/null || true' EXIT
for _ in $(seq 100); do [ -s "$demo/service-address" ] && break; sleep 0.1; done
address=$(cat "$demo/service-address")
regression() {
  printf '\n$ terraform %s\n' "$*"
  "$terraform" -chdir="$demo/regression" "$@" -var "service=$address"
}
"$terraform" -chdir="$demo/regression" init -no-color >/dev/null
regression apply -auto-approve -var approved_by=manager@example.com
cat "$demo/canary/planner.json"
printf '\nThe incident, as the incident service has it:\n'
"$build/dbt/bin/python" -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())' \
  "$address/api/incidents/2041"
kill "$service"
say "the second act took $((SECONDS - began)) s"

step "11. Another configuration reads the history from the journal"
"$terraform" -chdir="$demo/history" init -no-color >/dev/null
"$terraform" -chdir="$demo/history" apply -auto-approve -no-color >/dev/null
"$terraform" -chdir="$demo/history" output -raw history

cat <<END


### Where to look
  configuration   $demo/main.tf
  journal         $demo/.remediation/journal.db (SQLite)
  logs            $demo/.remediation/executions/
  warehouse       $demo/warehouse.duckdb
END
say "the demo took $SECONDS s"
