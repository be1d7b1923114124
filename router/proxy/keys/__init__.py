"""Who may use the proxy, for what, and how much of it: the master key, and the keys that it gives out."""
