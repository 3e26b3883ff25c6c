"""Metrics for Prometheus: what is counted, how it is shown, and the small HTTP server that shows it."""
