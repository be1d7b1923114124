"""A conversation comes home: what ties a call to a deployment, who holds what, and what follows when home is lost."""
