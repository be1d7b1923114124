"""Chat completions, OpenAI's older API: asked and answered in its words, served by way of the Responses API."""
