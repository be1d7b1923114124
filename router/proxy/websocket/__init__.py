"""WebSocket mode of the Responses API: many responses, one after the other or side by side, over one connection."""
