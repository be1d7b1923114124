"""Who should serve a call: load-balancing strategies. Part of homing-router."""
