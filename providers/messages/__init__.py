"""Anthropic's Messages API, for Claude wherever it is hosted."""
