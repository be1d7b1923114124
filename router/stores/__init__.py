"""Where what must be remembered is kept: in memory, in Redis."""
