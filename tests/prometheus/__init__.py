"""The metrics, in the hands of Prometheus itself."""
