#!/usr/bin/env bash
# Edit dbt projects and journals at random, and print the figures: no edit of what dbt sends keeps the digest, no other edit
# moves it, and no journal that was edited, cut, restored, or swapped lets an execution run twice.
#   EDITS     number of edits of each kind (default 300)
#   JOURNALS  number of journals (default 10000)
#   REPLANS   number of plans of each playbook on a target that does not change (default 50)
#   SEED      determines the edits
. "$(dirname "$0")/env.sh"
cd "$root"

edits=${EDITS:-300} journals=${JOURNALS:-10000} replans=${REPLANS:-50} seed=${SEED:-$RANDOM}
temporary
say "digest matrix with SEED=$seed, dbt at $(tools/dbt.sh)"
go test -count=1 -timeout 60m ./internal/target/dbt -run '^TestRandomEditsAndTheDigest$' -digest.edits "$edits" -digest.seed "$seed" -v |
  sed -n 's/.*digest_matrix_test.go:[0-9]*: //p'
go test -count=1 -timeout 60m ./internal/engine -run '^TestRandomJournalsNeverRunTwice$' -journals "$journals" -journals.seed "$seed" -v |
  sed -n 's/.*journal_matrix_test.go:[0-9]*: //p'
tools/setup-elasticsearch.sh >/dev/null
go test -count=1 -timeout 60m ./internal/provider -run '^TestPlansAgainKeepDigestAndPayload$' -replans "$replans"
say "each playbook was planned $replans times with one digest and one payload"
