"""Counts calls for Prometheus. Needs the extra `prometheus` to show what it counted, not before."""
