#!/usr/bin/env bash
# A step of a plan: post the review as a comment of its own, and update it at every plan. Atlantis puts the output of a step into
# a fence, where Markdown is not rendered, so the output is the same review as plain text. Needs curl and jq.
#
# FORGE_API is the API of GitHub or Gitea, such as https://api.github.com or https://gitea.example.com/api/v1.
# FORGE_TOKEN may write comments. Atlantis sets PLANFILE, PULL_NUM, BASE_REPO_OWNER, and BASE_REPO_NAME.
set -euo pipefail

provider=$(find -L .terraform/providers -type f -name 'terraform-provider-remediation_*' | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

terraform show -json "$PLANFILE" >"$work/plan.json" # contains the configuration in clear text
"$provider" review "$work/plan.json" >"$work/review.md"
jq --null-input --rawfile review "$work/review.md" '{body: $review}' >"$work/comment.json"

call() {
  curl --fail-with-body --silent --show-error --header "Authorization: token $FORGE_TOKEN" \
    --header "Content-Type: application/json" "$@"
}
marker='<!-- remediation review -->'
api=$FORGE_API/repos/$BASE_REPO_OWNER/$BASE_REPO_NAME/issues
id=$(call "$api/$PULL_NUM/comments?per_page=100" |
  jq --arg marker "$marker" 'map(select(.body | startswith($marker)))[0].id // empty')
if [ -n "$id" ]; then
  call --request PATCH --data "@$work/comment.json" "$api/comments/$id" >/dev/null
else
  call --data "@$work/comment.json" "$api/$PULL_NUM/comments" >/dev/null
fi

"$provider" review --plain "$work/plan.json"
