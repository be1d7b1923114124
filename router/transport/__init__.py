"""The network seam."""
