"""OpenAI's Chat Completions, as its many vendors speak it. Part of homing-router."""
