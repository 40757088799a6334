// A module of its own, run by make test-gitea: it needs a Gitea, whose build takes minutes.
module github.com/applylens/terraform-provider-remediation/internal/acctest/giteatest

go 1.26.0

replace github.com/applylens/terraform-provider-remediation => ../../..

require github.com/applylens/terraform-provider-remediation v0.0.0-00010101000000-000000000000

require github.com/google/go-cmp v0.7.0 // indirect
