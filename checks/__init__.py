"""Who may serve a call: pre-call checks. Part of homing-router."""
