# The synonyms changed: make queries of the knowledge base use them. The plan says which method is used. For an updateable filter, it is
# a reload without downtime.
resource "remediation_synonyms_refresh" "knowledge_base" {
  incident_id    = "INC-2042"
  index_name     = "knowledge_base"
  synonym_filter = "english_synonyms"

  # What each text gained and lost is in result.details.
  probe_texts = ["mail", "late delivery"]

  # Change this to refresh them again.
  triggers = { synonyms = "2025-10-17" }
}

# The archive's synonyms are applied when documents are indexed, so the documents must be copied. Searches and writes continue
# during the copy.
resource "remediation_synonyms_refresh" "archive" {
  incident_id    = "INC-2042"
  index_name     = "mail_archive"
  synonym_filter = "archive_synonyms"
  probe_texts    = ["mail"]

  reindex             = true
  slices              = 2
  requests_per_second = 5000
  approved_by         = "lead@example.com"

  # Destroying the resource points the alias back to the old index, as long as that index exists.
  on_destroy = "rollback"

  timeouts {
    create = "8h"
  }
}
