# The synonyms changed: let queries of the knowledge base use them. The plan says which way is taken; for an updateable filter it is a
# reload without downtime.
resource "remediation_synonyms_refresh" "knowledge_base" {
  incident_id    = "INC-2042"
  index_name     = "knowledge_base"
  synonym_filter = "english_synonyms"

  # What each text gained and lost is in result.details.
  probe_texts = ["mail", "late delivery"]

  # Change it to refresh them again.
  triggers = { synonyms = "2025-10-17" }
}

# Documents of the archive are analyzed with its synonyms when they are indexed, so they have to be copied. The archive can be searched and
# written to all the time.
resource "remediation_synonyms_refresh" "archive" {
  incident_id    = "INC-2042"
  index_name     = "mail_archive"
  synonym_filter = "archive_synonyms"
  probe_texts    = ["mail"]

  reindex             = true
  slices              = 2
  requests_per_second = 5000
  approved_by         = "lead@example.com"

  # Destroying the resource points the alias back at the old index, while that stands.
  on_destroy = "rollback"

  timeouts {
    create = "8h"
  }
}
