"""What the proxy tells of its deployments: which models there are, whether they are well."""

from __future__ import annotations

import asyncio

import msgspec

from providers import jsonio
from providers.errors import ConfigurationError, NotFoundError
from providers.types import Json, JsonObject
from router.proxy.exchange import Exchange
from router.proxy.holder import Holder
from router.proxy.keys.keys import Keys
from router.router import Router

_WELL = frozenset({"closed", "ramping", "half-open"})


class FleetView:
    """Answers for the deployments."""

    def __init__(self, router: Router, keys: Keys) -> None:
        self._router = router
        self._keys = keys

    async def models(self, exchange: Exchange) -> None:
        """GET /models: every name that a call with this key may ask for."""
        data: list[Json] = [_model(name) for name in self._names(exchange.holder)]
        await exchange.answer(200, jsonio.dumps({"object": "list", "data": data}))

    async def model(self, exchange: Exchange, name: str) -> None:
        """GET /models/{name}."""
        if name not in self._names(exchange.holder):
            raise NotFoundError(f"there is no model {name!r}", param="model", code="model_not_found")
        await exchange.answer(200, jsonio.dumps(_model(name)))

    async def health(self, exchange: Exchange) -> None:
        """GET /health: the state of each deployment, as it is known; nothing is asked of them."""
        deployments = [msgspec.to_builtins(each) for each in self._router.health()]
        well = sum(each["state"] in _WELL for each in deployments)
        await exchange.answer(
            200,
            jsonio.dumps(
                {"healthy_count": well, "unhealthy_count": len(deployments) - well, "deployments": deployments}
            ),
        )

    async def metrics(self, exchange: Exchange) -> None:
        """GET /metrics: what is counted, in Prometheus's text format. Raises `NotFoundError` if nothing is."""
        try:
            content = await asyncio.to_thread(self._router.prometheus_metrics)
        except ConfigurationError:
            said = "nothing is counted; write callbacks: [prometheus] into litellm_settings"
            raise NotFoundError(said, code="not_found") from None
        await exchange.answer(200, content, kind=b"text/plain; version=0.0.4; charset=utf-8")

    async def liveness(self, exchange: Exchange) -> None:
        """GET /health/liveness: the process answers."""
        await exchange.answer(200, b'{"status":"alive"}')

    async def readiness(self, exchange: Exchange) -> None:
        """GET /health/readiness: whether calls can be served. Tells deployments and Redis apart; 503 if none can."""
        deployments = self._router.health()
        usable = sum(each.state in _WELL for each in deployments)
        link = self._router._stores.link
        redis = "not configured" if link is None else "away" if link.down else "connected"
        status = {
            "status": "ready" if usable else "not ready",
            "deployments": {"usable": usable, "all": len(deployments)},
            "redis": redis,
        }
        await exchange.answer(200 if usable else 503, jsonio.dumps(status))

    def _names(self, holder: Holder) -> list[str]:
        registry, settings = self._router._registry, self._router._settings
        hidden = {name for name, alias in settings.model_group_alias.items() if alias.hidden}
        return [name for name in registry.names() if name not in hidden and self._keys.may_use(holder, name)]


def _model(name: str) -> JsonObject:
    return {"id": name, "object": "model", "created": 0, "owned_by": "homing-router"}
