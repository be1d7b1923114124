"""Lets in who shows a key, and calls through that it is good for."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from checks.affinity.responses_api_deployment import ResponsesApiDeployment
from checks.budgets.period import LIFETIME, parse_period
from providers.errors import AuthenticationError, ConfigurationError, PermissionDeniedError
from providers.types import Verb
from router.budgeting import wall_clock
from router.config.keys import ConfiguredKey, digest
from router.plan import Policy
from router.proxy.holder import MASTER, Grant, Holder
from router.proxy.keys.limits import Limiter, MemoryLimiter
from router.proxy.keys.passage import Passage
from router.proxy.keys.shown import shown
from router.proxy.settings import ProxySettings
from router.request import Request
from router.router import Router

if TYPE_CHECKING:
    from router.proxy.keys.known import KnownKeys

_SERVED: Final = frozenset({"responses", "conversations", "chat", "deployments", "models"})
"""First parts of the paths that every key may use; all others show or change what is the operator's."""
_ALIKE: Final = (
    "keys have responses of their own, which takes responses_api_deployment_check: "
    "add it to optional_pre_call_checks in router_settings"
)
_FALLBACKS: Final = frozenset({"fallbacks", "context_window_fallbacks", "content_policy_fallbacks"})
"""Arguments by which a call can turn to other groups."""


class Keys:
    """Knows the master key, those of the configuration, and those that were made since; keeps digests, no keys.

    Without any key everybody may do everything, until there is one.
    """

    def __init__(self, router: Router, settings: ProxySettings) -> None:
        """Raises `ConfigurationError` if keys can't have responses of their own."""
        key = settings.master_key
        self._master = None if key is None else digest(key.get_secret_value())
        self._router = router
        self._wall = wall_clock(router._clock)
        self._configured: Mapping[str, Holder] = {}
        self._limiter: Limiter = MemoryLimiter(router._clock)
        self.known: KnownKeys | None = None
        """Those that are made while the proxy runs; None: they can't be, `unkept` says why."""
        self._open = self._master is None
        self.take(settings.keys)
        self.unkept = self._open_book()

    @property
    def configured(self) -> Sequence[Grant]:
        """What the keys of the configuration grant."""
        return [holder.grant for holder in self._configured.values() if holder.grant is not None]

    def has(self, digest: str) -> bool:
        """Whether the key with this digest is the master key, or one of the configuration."""
        return digest == self._master or digest in self._configured

    def take(self, keys: Sequence[ConfiguredKey]) -> None:
        """Let in whoever has one of these keys of a configuration, in place of those before.

        A proxy that has asked for keys goes on to. Raises what `check` does.
        """
        self.check(keys)
        self._configured = {each.digest: Holder(_grant(each)) for each in keys}
        self._open = self._open and not keys

    def check(self, keys: Sequence[ConfiguredKey]) -> None:
        """Raises `ConfigurationError` if there are keys, which can't have responses of their own here."""
        if keys and not self._isolates:
            raise ConfigurationError(_ALIKE)

    async def admit(self, headers: Mapping[str, str]) -> Holder:
        """Who calls. Raises `AuthenticationError` unless the request may pass.

        `ServiceUnavailableError`: it can't be known whether it may.
        """
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
        if holder is None and self.known is not None:
            holder = await self.known.find(told)
        if holder is None or holder.grant is None:
            raise AuthenticationError("the API key is not valid", code="invalid_api_key")
        self._good(holder.grant)
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
        return Passage(self._limiter, holder, verb, params, self._charge)

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

    def _good(self, grant: Grant) -> None:
        """Raises `AuthenticationError` for a key that is good for nothing any more."""
        if grant.blocked:
            raise AuthenticationError(f"the API key {grant.name!r} is blocked", code="blocked")
        if grant.expires is not None and self._wall() >= grant.expires:
            raise AuthenticationError(f"the API key {grant.name!r} has expired", code="expired")

    async def _charge(self, grant: Grant) -> None:
        """Have the Router hold the key to its budget."""
        if grant.max_budget is not None:
            await self._router._budget_keys()
            period = LIFETIME if grant.budget_duration is None else parse_period(grant.budget_duration)
            self._router._budgeting.charge(grant.id, grant.max_budget, period)

    @property
    def _isolates(self) -> bool:
        """Whether the Router knows whose a response is."""
        return any(isinstance(check, ResponsesApiDeployment) for check in self._router._given)

    def _open_book(self) -> str | None:
        """Make the book, and count in Redis, if there is one; or say why keys can't be made."""
        stores = self._router._stores
        if stores.link is None or stores.transcript_link is None:
            return "keys that are made while the proxy runs are kept in Redis: give router_settings a redis_url"
        prefix = self._router._settings.redis_key_prefix
        # Imported when needed: redis-py takes its time, and many have no Redis.
        from router.proxy.keys.book import KeyBook
        from router.proxy.keys.known import KnownKeys
        from router.proxy.keys.redis_limits import RedisLimiter

        self._limiter = RedisLimiter(stores.link, self._router._clock, prefix=prefix)
        if self._master is None:
            return "only the master key can make keys: set general_settings.master_key"
        if not self._isolates:
            return _ALIKE
        book = KeyBook(stores.link, stores.transcript_link, prefix=prefix)
        self.known = KnownKeys(book, self._router._clock)
        return None


def _grant(key: ConfiguredKey) -> Grant:
    terms = key.model_dump(exclude={"key", "key_hash", "models"})
    return Grant(id=f"config:{key.key_alias}", digest=key.digest, models=tuple(key.models), **terms)
