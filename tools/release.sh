#!/usr/bin/env bash
# Check the release: the configuration, and a snapshot of every archive in dist/. Signs the checksums only where
# GPG_FINGERPRINT names a key; the registry takes no release without a signature.
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
