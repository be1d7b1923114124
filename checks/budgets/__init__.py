"""How much may be spent, on what, by whom, over which time."""
