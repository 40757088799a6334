// Package giteatest posts the review of a plan to a real Gitea and reads how its comment is rendered there. Its tests
// have the build tag gitea, because building a Gitea takes minutes: run make test-gitea.
package giteatest
