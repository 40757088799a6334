# Import an execution by its identifier in the history.
terraform import remediation_metric_gate.latency 4f9c2a17-42
