variable "incident_id" {
  description = "Incident, as the incident service writes its identifier."
  type        = string
}

variable "triggers" {
  description = "A change of any value runs every step again."
  type        = map(string)
  default     = { run = "1" }
}

variable "models" {
  description = "dbt selectors of the models with wrong or stale data."
  type        = list(string)
}

variable "upgrade" {
  description = "Resolve the packages again, instead of installing those of the lock file."
  type        = bool
  default     = true
}

variable "quality_query" {
  description = "Prometheus query of the quality score."
  type        = string
}

variable "min_quality" {
  description = "Smallest quality score that counts as recovered."
  type        = number
  default     = 90
}

variable "wait" {
  description = "How long the evaluation takes."
  type        = string
  default     = "15m"
}

variable "resolve" {
  description = "Resolve the incident in the incident service once the quality has recovered."
  type        = bool
  default     = true
}
