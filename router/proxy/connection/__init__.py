"""Connections of clients that need not be quick, or brief, or there at all: uvicorn's, with limits."""
