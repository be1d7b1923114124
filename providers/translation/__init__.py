"""What the translators of other dialects have in common. Part of homing-router."""
