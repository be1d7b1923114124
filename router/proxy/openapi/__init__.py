"""The proxy's own OpenAPI document: what may be asked, how it is answered. Bodies may hold more than it names."""
