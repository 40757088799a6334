variable "incident_id" {
  description = "Incident, as the incident service writes its identifier."
  type        = string
}

variable "triggers" {
  description = "A change of any value runs every step again."
  type        = map(string)
  default     = { run = "1" }
}

variable "index_name" {
  description = "Index or alias that the slow searches read."
  type        = string
}

variable "cache_types" {
  description = "Caches to clear."
  type        = set(string)
  default     = ["query", "request"]
}

variable "synonym_filter" {
  description = "Synonym filter of the index, for the second step."
  type        = string
}

variable "latency_query" {
  description = "Prometheus query of the P95 latency, in milliseconds."
  type        = string
}

variable "max_latency_ms" {
  description = "Largest P95 latency that counts as recovered, in milliseconds."
  type        = number
  default     = 500
}

variable "watch" {
  description = "How long the latency is watched after each step."
  type        = string
  default     = "5m"
}

variable "resolve" {
  description = "Resolve the incident in the incident service once the latency has recovered."
  type        = bool
  default     = true
}
