"""Who should serve a call: load-balancing strategies."""
