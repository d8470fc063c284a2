"""Door 2: Replicate's HTTP API."""
