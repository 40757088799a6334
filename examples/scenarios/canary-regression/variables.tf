variable "incident_id" {
  description = "Incident, as the incident service writes its identifier."
  type        = string
}

variable "triggers" {
  description = "A change of any value runs every step again."
  type        = map(string)
  default     = { run = "1" }
}

variable "canary_version" {
  description = "Version that regresses."
  type        = string
}

variable "contain_percent" {
  description = "Share of the traffic that the canary keeps while it is watched."
  type        = number
  default     = 5
}

variable "watch" {
  description = "How long the canary is watched at that share."
  type        = string
  default     = "10m"
}

variable "accuracy_query" {
  description = "Prometheus query of the canary's accuracy."
  type        = string
}

variable "stable_accuracy_query" {
  description = "Prometheus query of the stable version's accuracy, at the same moment."
  type        = string
}

variable "max_drop_percent" {
  description = "How far the canary's accuracy may be below that of the stable version."
  type        = number
  default     = 10
}

variable "rollback_approved_by" {
  description = "Manager who approves the immediate rollback, which runs only if the canary still regresses."
  type        = string
  default     = null
}

variable "resolve" {
  description = "Resolve the incident in the incident service at the end."
  type        = bool
  default     = true
}
