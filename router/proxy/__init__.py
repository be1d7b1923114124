"""The proxy: a Router behind OpenAI's HTTP interface. A thin ASGI application, with nothing of routing in it."""
