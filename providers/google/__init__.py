"""What everything hosted by Google has in common: addresses and credentials. Part of homing-router."""
