"""Metrics for Prometheus: `GET /metrics`."""
