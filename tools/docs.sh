#!/usr/bin/env bash
# Write docs/ from the schema, templates/ and examples/, or with "check" say where docs/ differs from them and fail.
. "$(dirname "$0")/env.sh"
cd "$root"

# What tfplugindocs writes; the rest of docs/ is written by hand.
generated=(index.md actions data-sources ephemeral-resources functions guides list-resources resources)

tools/tool.sh tfplugindocs
# tfplugindocs takes the "terraform" of the PATH.
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
    [ -z "$drift" ] || fail "docs/ is not what the schema, templates/ and examples/ say, run make docs"
    ;;
  *) fail "usage: tools/docs.sh [check]" ;;
esac
