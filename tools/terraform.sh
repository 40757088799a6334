#!/usr/bin/env bash
# Print the path of the Terraform (or OpenTofu) to use: TF_ACC_TERRAFORM_PATH, or the one on the PATH, or one that hc-install
# installs into .build/bin.
. "$(dirname "$0")/env.sh"

# What hc-install fetches if there is none. Any version from 1.5 works.
version=1.11.4

if [ -n "${TF_ACC_TERRAFORM_PATH:-}" ]; then
  [ -x "$TF_ACC_TERRAFORM_PATH" ] || fail "TF_ACC_TERRAFORM_PATH names $TF_ACC_TERRAFORM_PATH, which is not an executable file"
  printf '%s\n' "$TF_ACC_TERRAFORM_PATH"
elif found=$(command -v terraform); then
  printf '%s\n' "$found"
else
  "$root/tools/tool.sh" hc-install
  say "installing Terraform $version into .build/bin (once)"
  hc-install install -version "$version" -path "$bin" terraform >&2 ||
    fail "Terraform is not on the PATH and could not be fetched. Install it (https://developer.hashicorp.com/terraform/install)," \
      "or set TF_ACC_TERRAFORM_PATH to a Terraform or OpenTofu executable"
  printf '%s\n' "$bin/terraform"
fi
