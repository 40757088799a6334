#!/usr/bin/env bash
# Check the release: its configuration, and a snapshot of every archive in dist/. Sign the checksums only if GPG_FINGERPRINT
# names a key. The registry accepts no release without a signature.
. "$(dirname "$0")/env.sh"
cd "$root"

tools/tool.sh goreleaser
skip=publish
if [ -z "${GPG_FINGERPRINT:-}" ]; then
  say "GPG_FINGERPRINT is not set: the checksums are not signed"
  skip=publish,sign
fi
goreleaser check
goreleaser release --snapshot --clean --skip "$skip" "$@"
