"""Settings, the one place that chooses adapters, serving and telemetry."""
