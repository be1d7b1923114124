"""One record per call, and everything that is made of it."""
