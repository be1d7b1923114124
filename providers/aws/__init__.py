"""What every service of Amazon has in common: credentials, signatures, addresses, the framing of streams."""
