data "remediation_playbooks" "all" {}

output "playbooks" {
  value = { for p in data.remediation_playbooks.all.playbooks : p.action_type => p.summary }
}
