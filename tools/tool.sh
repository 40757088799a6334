#!/usr/bin/env bash
# Build the named pinned tools into .build/bin, each once:
#   tools/tool.sh golangci-lint tfplugindocs govulncheck hc-install goreleaser
. "$(dirname "$0")/env.sh"

# source_of NAME: print the module folder that pins the tool, and its package.
source_of() {
  case $1 in
    golangci-lint) echo tools github.com/golangci/golangci-lint/v2/cmd/golangci-lint ;;
    tfplugindocs) echo tools github.com/hashicorp/terraform-plugin-docs/cmd/tfplugindocs ;;
    hc-install) echo tools github.com/hashicorp/hc-install/cmd/hc-install ;;
    govulncheck) echo tools golang.org/x/vuln/cmd/govulncheck ;;
    deadcode) echo tools golang.org/x/tools/cmd/deadcode ;;
    goreleaser) echo tools/release github.com/goreleaser/goreleaser/v2 ;;
    gitea) echo tools/gitea code.gitea.io/gitea ;;
    testsum | benchtable) echo tools "./$1" ;;
    *) fail "there is no tool called $1" ;;
  esac
}

for name in "$@"; do
  pinned=$(source_of "$name")
  read -r module package <<<"$pinned"
  # The stamp holds what the binary was made from; our own programs are cheap and made anew each time.
  stamp=$bin/.$name.stamp
  made_from="$(go env GOVERSION) $(cksum <"$root/$module/go.sum")"
  if [ "$package" != "./$name" ] && [ -x "$bin/$name" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$made_from" ]; then
    continue
  fi
  [ "$package" = "./$name" ] || say "building $name (once)"
  flags=()
  if [ "$name" = gitea ]; then # clients refuse a server without a version
    flags=(-tags "sqlite sqlite_unlock_notify" -ldflags "-s -w -X main.Version=$(go -C "$root/$module" list -m -f '{{.Version}}' "$package" | tr -d v)")
  fi
  go -C "$root/$module" build -trimpath "${flags[@]}" -o "$bin/$name" "$package"
  printf '%s\n' "$made_from" >"$stamp"
done
