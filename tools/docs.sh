#!/usr/bin/env bash
# Generate docs/ from the schema, templates/, and examples/, or with "check" fail and print where docs/ differs from them.
. "$(dirname "$0")/env.sh"
cd "$root"

# What tfplugindocs generates. The rest of docs/ is written by hand.
generated=(index.md actions data-sources ephemeral-resources functions guides list-resources resources)

tools/tool.sh tfplugindocs
# tfplugindocs uses the "terraform" on the PATH.
named=$build/terraform-for-docs
mkdir -p "$named"
ln -sfn "$(tools/terraform.sh)" "$named/terraform"
export PATH=$named:$PATH

generate() {
  tfplugindocs generate --provider-name remediation --rendered-provider-name Remediation --rendered-website-dir "$1" >"$build/docs.log" 2>&1 || {
    cat "$build/docs.log" >&2
    fail "the documentation could not be generated"
  }
}

case ${1:-write} in
  write)
    say "documentation"
    generate docs
    ;;
  check)
    say "documentation against schema, templates and examples"
    fresh=.build/docs
    rm -rf "$fresh"
    generate "$fresh"
    drift=
    for name in "${generated[@]}"; do
      if [ -e "docs/$name" ] || [ -e "$fresh/$name" ]; then
        diff -ruN "docs/$name" "$fresh/$name" || drift=yes
      fi
    done
    [ -z "$drift" ] || fail "docs/ is out of date, run make docs"
    ;;
  *) fail "usage: tools/docs.sh [check]" ;;
esac
