"""Who may serve a call: pre-call checks."""
