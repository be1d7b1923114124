"""One health check: what is asked, and what the answer shows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from providers.base import Provider
from providers.catalog import provider_of
from providers.errors import APIError, APITimeoutError, CallerError, CredentialError, RouterError
from providers.probes import ping
from providers.types import Call, Deployment, HttpReply, HttpRequest, Token
from router.hiding import hide
from router.outgoing import encode
from router.pool import Evidence, HealthCheck, Inspection, Kind, Pool, Verdict, judge
from router.tokens import Tokens
from router.transport.base import Transport

_log = logging.getLogger("router")

_NO_LIST: Final = frozenset({404, 405, 501})
"""Statuses of a server that has no list of models: it is there, and that is all they say."""
_LISTED: Final = "listed"
"""In a deployment's memo: its key may list models, so that a refusal is news."""
_NOTE: Final = 500
"""Characters of what an error says that are kept."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back."""

    shows: Evidence
    reply: HttpReply


class Probe:
    """Checks one deployment at a time, on whichever event loop is running, and tells the pool what it found.

    `timeout`: seconds for one check. `clock` is the pool's; `wall` tells Unix time. Knows nothing of the Router, so
    that who forgets to close one can still lose it.
    """

    def __init__(
        self,
        pool: Pool,
        transport: Transport,
        timeout: float,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._pool = pool
        self._transport = transport
        self._timeout = timeout
        self._clock = clock
        self._wall = wall
        self._tokens = Tokens(clock)

    @property
    def one_loop(self) -> bool:
        """Whether what sends can do so in one event loop only."""
        return bool(getattr(self._transport, "one_loop", False))

    async def check(self, deployment: Deployment, kind: Kind, wildcard: str = "") -> HealthCheck:
        """Ask a deployment how it is. Raises nothing for what goes wrong there, only `CancelledError`.

        A call that can't be made, as nobody says to which model of a wildcard, becomes a request for the models.
        """
        call = ping(deployment, wildcard) if kind == "call" else None
        inspection = self._pool.inspect(deployment.id)
        check = _Check(deployment, "models" if call is None else "call", self._wall)
        if inspection is None:
            return check.found(None, note="the deployment was removed")
        try:
            return await self._asked(inspection, check, call)
        except BaseException:
            self._pool.forgo(inspection)
            raise

    async def _asked(self, inspection: Inspection, check: _Check, call: Call | None) -> HealthCheck:
        deployment = check.deployment
        try:
            answer = await self._exchange(deployment, call)
        except APIError as error:
            check.took = self._clock() - inspection.started
            return self._failed(inspection, check, error)
        except Exception as error:  # a Transport of the user's own raises what it likes
            check.took = self._clock() - inspection.started
            note = str(error) if isinstance(error, RouterError) else "the check itself failed"
            if not isinstance(error, RouterError):
                _log.exception("a health check of %s failed in a way that says nothing of it", deployment.id)
            found = check.found(None, type(error).__name__, note)
            self._pool.forgo(inspection, found)
            return found
        if answer is None:
            found = check.found(None, note="it has no list of models to ask for; set health_check to 'call'")
            self._pool.forgo(inspection, found)
            return found
        check.took = self._clock() - inspection.started
        if call is None and answer.shows is Evidence.ADMITTED:
            deployment.memo[_LISTED] = True
        found = check.found(True)
        # the limits of a list are not those of calls
        self._pool.conclude(inspection, found, answer.shows, None if call is None else answer.reply.headers)
        return found

    def _failed(self, inspection: Inspection, check: _Check, error: APIError) -> HealthCheck:
        deployment = check.deployment
        error.deployment_id, error.provider = deployment.id, deployment.provider
        hide(error, deployment)
        name, said = type(error).__name__, error.message
        if isinstance(error, CredentialError):
            self._tokens.forget(deployment)
            if check.kind == "models" and self._may_not_list(inspection, deployment):
                said = f"its key may not list models, which says nothing of calls; set health_check to 'call' ({said})"
                found = check.found(None, name, said)
                self._pool.forgo(inspection, found)
                return found
        verdict = judge(error)
        _log.info("a health check of %s failed: %s %s", deployment.id, name, error.status_code)
        found = check.found(None if verdict is Verdict.NOTHING else verdict is Verdict.REFUSED, name, said)
        self._pool.conclude(inspection, found, error)
        return found

    @staticmethod
    def _may_not_list(inspection: Inspection, deployment: Deployment) -> bool:
        """Whether a refusal to list models may concern nothing but that, as with keys restricted to calls.

        So where calls were served and no list ever was; and where the breaker is to be tested, which a call then does:
        else a good deployment would stay out for ever.
        """
        return _LISTED not in deployment.memo and (inspection.proven or inspection.probe)

    async def _exchange(self, deployment: Deployment, call: Call | None) -> _Answer | None:
        """The answer; None if there is nothing to ask. Raises what the answer, or its lack, stands for."""
        limit = asyncio.timeout(self._timeout)
        provider = provider_of(deployment)
        try:
            async with limit:
                token = None
                if deployment.token_source is not None:
                    token = await self._tokens.fresh(deployment, self._timeout)
                request = _request(provider, deployment, call, token)
                if request is None:
                    return None
                reply = await self._send(request, deployment)
        except TimeoutError:
            if not limit.expired():
                raise
            raise APITimeoutError(f"no answer to a health check within {self._timeout:g} s") from None
        return _read(provider, deployment, call, reply)

    async def _send(self, request: HttpRequest, deployment: Deployment) -> HttpReply:
        reply = await self._transport.send(request, deployment.connection, timeout=self._timeout)
        try:
            content = await reply.read()
        except BaseException:
            reply.abort()
            raise
        return HttpReply(reply.status, reply.headers, content, self._wall())


class _Check:
    """A check that is being made."""

    def __init__(self, deployment: Deployment, kind: Kind, wall: Callable[[], float]) -> None:
        self.deployment = deployment
        self.kind = kind
        self.took: float | None = None
        self._wall = wall

    def found(self, ok: bool | None, error: str | None = None, note: str = "") -> HealthCheck:
        """What it found."""
        deployment = self.deployment
        return HealthCheck(deployment.id, deployment.group, self.kind, ok, self._wall(), self.took, error, note[:_NOTE])


def _request(provider: Provider, deployment: Deployment, call: Call | None, token: Token | None) -> HttpRequest | None:
    if call is None:
        return provider.listing(deployment, token)
    return encode(provider, call, deployment, token)


def _read(provider: Provider, deployment: Deployment, call: Call | None, reply: HttpReply) -> _Answer:
    """What an answer shows. Raises the error that it stands for."""
    if call is None and reply.status in _NO_LIST:
        return _Answer(Evidence.ANSWERED, reply)
    if call is None and 200 <= reply.status < 300:
        is_list = reply.content.lstrip()[:1] in (b"{", b"[")  # and not the page that a server has for everything
        return _Answer(Evidence.ADMITTED if is_list else Evidence.ANSWERED, reply)
    try:
        provider.decode(reply, call or Call(deployment.group), deployment)
    except CallerError:
        if call is None:
            raise
        return _Answer(Evidence.ADMITTED, reply)  # a model may want more than a token; its key and its name are good
    return _Answer(Evidence.SERVED, reply)
