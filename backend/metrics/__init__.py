"""What Prometheus asks for: `GET /metrics`."""
