"""Parts for tests of virtual keys: keys of a configuration, and what their holders ask of a proxy."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from typing import Any

import httpx
from pydantic import SecretStr

from router.config.keys import ConfiguredKey
from router.proxy.settings import ProxySettings

MASTER = "sk-master-0123456789"


def secret(alias: str) -> str:
    """The key that is known by an alias."""
    return f"sk-of-{alias}-{hashlib.sha256(alias.encode()).hexdigest()[:16]}"


def configured(alias: str, **terms: Any) -> ConfiguredKey:
    """A key of a configuration; `secret(alias)` is it."""
    return ConfiguredKey(key_alias=alias, key=SecretStr(secret(alias)), **terms)


def keyed(*keys: ConfiguredKey, master: str | None = MASTER) -> ProxySettings:
    """Settings with these keys."""
    return ProxySettings(master_key=None if master is None else SecretStr(master), keys=keys)


class Client:
    """Somebody with a key, at a proxy. `http` is to be closed by whoever opened it."""

    def __init__(self, http: httpx.Client, url: str, key: str | None) -> None:
        self.http = http
        self.url = url
        self.headers = {} if key is None else {"authorization": f"Bearer {key}"}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Any request."""
        return self.http.request(method, self.url + path, headers=self.headers, **more)

    def create(self, model: str = "gpt", **body: Any) -> httpx.Response:
        """POST /responses."""
        return self.post("/v1/responses", **{"model": model, "input": "Hello", **body})

    def streaming(self, model: str = "gpt", **body: Any) -> AbstractContextManager[httpx.Response]:
        """POST /responses, its stream open."""
        json = {"model": model, "input": "Hello", "stream": True, **body}
        return self.http.stream("POST", f"{self.url}/v1/responses", headers=self.headers, json=json)

    def chat(self, model: str = "gpt", **body: Any) -> httpx.Response:
        """POST /chat/completions."""
        messages = [{"role": "user", "content": "Hello"}]
        return self.post("/v1/chat/completions", **{"model": model, "messages": messages, **body})

    def get(self, path: str, **query: str) -> httpx.Response:
        """GET."""
        return self.ask("GET", path, params=query)

    def post(self, path: str, **body: Any) -> httpx.Response:
        """POST."""
        return self.ask("POST", path, json=body)

    def delete(self, path: str) -> httpx.Response:
        """DELETE."""
        return self.ask("DELETE", path)


def error(answer: httpx.Response) -> tuple[int, str | None]:
    """Status and code of an answer that is an error, as OpenAI's clients know them."""
    told = answer.json()["error"]
    assert told.keys() == {"message", "type", "param", "code"}
    return answer.status_code, told["code"]
