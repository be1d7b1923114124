"""Traces and metrics by OpenTelemetry. Imports its API when an `OpenTelemetry` is made, not before."""
