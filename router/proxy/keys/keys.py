"""Lets in who shows a key, and calls through that it is good for."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Final

from providers.errors import AuthenticationError, PermissionDeniedError
from providers.types import Verb
from router.budgeting import wall_clock
from router.plan import Policy
from router.proxy.holder import MASTER, Grant, Holder
from router.proxy.keys.limits import Limiter, MemoryLimiter
from router.proxy.keys.passage import Passage
from router.proxy.keys.shown import digest, shown
from router.proxy.settings import ProxySettings
from router.request import Request
from router.router import Router

_SERVED: Final = frozenset({"responses", "conversations", "chat", "deployments", "models"})
"""First parts of the paths that every key may use; all others show or change what is the operator's."""
_FALLBACKS: Final = frozenset({"fallbacks", "context_window_fallbacks", "content_policy_fallbacks"})
"""Arguments by which a call can turn to other groups."""


class Keys:
    """Knows the master key, those of the configuration, and those that were made since; keeps digests, no keys.

    Without any key everybody may do everything, until there is one.
    """

    def __init__(self, router: Router, settings: ProxySettings) -> None:
        key = settings.master_key
        self._master = None if key is None else digest(key.get_secret_value())
        self._router = router
        self._wall = wall_clock(router._clock)
        self._configured: Mapping[str, Holder] = {}
        self._open = self._master is None
        self._limiter: Limiter = MemoryLimiter(router._clock)

    async def admit(self, headers: Mapping[str, str]) -> Holder:
        """Who calls. Raises `AuthenticationError` unless the request may pass."""
        if self._open:
            return MASTER
        key = shown(headers)
        if key is None:
            raise AuthenticationError(
                "no API key was shown; send it as 'Authorization: Bearer KEY'", code="invalid_api_key"
            )
        told = digest(key)
        if self._master is not None and hmac.compare_digest(told, self._master):
            return MASTER
        holder = self._configured.get(told)
        if holder is None or holder.grant is None:
            raise AuthenticationError("the API key is not valid", code="invalid_api_key")
        self._check(holder.grant)
        return holder

    def authorize(self, holder: Holder, path: tuple[str, ...]) -> None:
        """Raises `PermissionDeniedError` if the path is the operator's, and the key is not the master key."""
        if not holder.is_master and path[0] not in _SERVED:
            raise PermissionDeniedError(f"only the master key may use /{path[0][:100]}", code="master_key_required")

    def passage(self, holder: Holder, verb: Verb, model: str, params: dict[str, object]) -> Passage:
        """The way through for one call of a model: `async with` it until the call is over.

        Raises `PermissionDeniedError` if the key is not for the model, or for one that the call would turn to.
        """
        if holder.grant is not None and holder.grant.models:
            for name in (model, *self._fallbacks(verb, model, params)):
                self.check_model(holder, name)
        return Passage(self._limiter, holder, verb, params)

    def check_model(self, holder: Holder, model: str) -> None:
        """Raises `PermissionDeniedError` if the key is not for the model."""
        if not self.may_use(holder, model):
            said = f"the key {holder.alias!r} is not for the model {model[:200]!r}"
            raise PermissionDeniedError(said, param="model", code="model_not_allowed")

    def may_use(self, holder: Holder, model: str) -> bool:
        """Whether a model may be called by this name."""
        registry = self._router._registry
        return holder.may_use(model, *([registry.resolve(model).group] if registry.knows(model) else ()))

    def _fallbacks(self, verb: Verb, model: str, params: dict[str, object]) -> Iterable[str]:
        """The groups that a call asks to be turned to."""
        if _FALLBACKS.isdisjoint(params):
            return
        registry = self._router._registry
        group = registry.resolve(model).group if registry.knows(model) else model
        policy = Request(verb, model, params).policy(Policy(), group)
        for table in (policy.fallbacks, policy.context_window_fallbacks, policy.content_policy_fallbacks):
            for targets in table.values():
                yield from (target.group for target in targets)

    def _check(self, grant: Grant) -> None:
        """Raises `AuthenticationError` for a key that is good for nothing any more."""
        if grant.blocked:
            raise AuthenticationError(f"the API key {grant.name!r} is blocked", code="blocked")
        if grant.expires is not None and self._wall() >= grant.expires:
            raise AuthenticationError(f"the API key {grant.name!r} has expired", code="expired")
