"""A conversation comes home: to the deployment that holds what a call refers to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal
from weakref import WeakKeyDictionary

from cachetools import LRUCache

from checks.affinity.discovery import Discovery
from checks.affinity.domain import peers
from checks.affinity.homes import Found, Homes, Locate
from checks.affinity.learnt import learnt
from checks.affinity.pins import AffinityStats, Pins, tenant_of
from checks.affinity.replay import replay
from checks.affinity.residents import Residents
from checks.affinity.tie import TieKind
from checks.affinity.ties import MADE_UP
from checks.affinity.transcript import Broken, TranscriptStore, Turn, chain
from checks.base import AffinityStore, Appeared, Failed, Finished, Home, Leaning, Outcome, PreCallCheck, Started
from providers.errors import APIError, CallerError, HomeLostError, PreviousResponseNotFoundError, RateLimitError
from providers.types import Affinity, Call, Deployment, HomePolicy, JsonObject, Verb
from providers.views import View

DEFAULT_TTL = 30 * 24 * 3600.0
"""Seconds a pin lives after its last use: as long as OpenAI stores a response."""
MOST_FAILING = 10_000
_KEPT = frozenset({TieKind.FILE, TieKind.VECTOR_STORE, TieKind.CONTAINER, TieKind.CONVERSATION})
"""What a deployment evidently holds if a call that names it succeeded there."""


class ResponsesApiDeployment(PreCallCheck):
    """Remembers which deployment holds what, and sends what refers to it back there.

    What ties a call to a deployment is listed in `checks.affinity.ties`: `previous_response_id`, the id of a by-id
    verb, a `conversation`, items by id, encrypted content, files and more. A call that can't be served without one
    goes to its owner or to a deployment of the same state domain (`checks.affinity.domain`), balanced over them; a
    call that would only be faster there leans that way. Owners are learnt before the caller can know the id: at
    `response.created` of a stream, at the reply otherwise; items as they appear. When home can't serve, `policy` says
    what follows.
    """

    def __init__(
        self,
        store: AffinityStore,
        locate: Locate,
        *,
        ttl: float = DEFAULT_TTL,
        policy: HomePolicy = HomePolicy(),  # noqa: B008 - frozen
        policies: Mapping[str, HomePolicy] | None = None,
        discovery: Discovery | None = None,
        transcripts: TranscriptStore | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`policies`: by group, instead of `policy`. `discovery` finds owners that nobody remembers. `transcripts`
        keep what a replay needs; without them nothing is replayed. `wall`: Unix time."""
        self._homes = Homes(Pins(store, ttl), locate)
        self._locate = locate
        self._ttl = ttl
        self._policy = policy
        self._policies = policies or {}
        self._discovery = discovery
        self._transcripts = transcripts
        self._wall = wall
        self._residents = Residents()
        self._found: WeakKeyDictionary[Call, Found] = WeakKeyDictionary()
        self._failing: LRUCache[str, tuple[float, str]] = LRUCache(MOST_FAILING)

    @property
    def stats(self) -> AffinityStats:
        """What happened so far, counted."""
        return self._homes.pins.stats

    async def home(self, response_id: str, scope: str | None = None) -> Deployment | None:
        """The deployment that holds a response; None if nobody remembers, or it is another tenant's than `scope`.

        Raises `HomeLostError` if the Router no longer has it.
        """
        pin = await self._homes.pins.owner(response_id)
        if pin is None or pin.tenant != tenant_of(scope):
            return None
        owner = self._locate(pin.deployment_id)
        if owner is None:
            raise self._lost(pin.deployment_id, f"response {response_id!r}", "this Router no longer has it")
        return owner

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """The deployments of the call's home; all, if it has none."""
        found = await self._homes.find(call, self._told(call))
        if not found.ties:
            return deployments
        if found.home is None or len(found.ties) > 1:  # one tie to a known home is soon looked up again
            self._found[call] = found
        self.stats.count(found.home is not None, bool(found.unknown))
        if found.home is None and found.lost is None and self._discovery is not None:
            owner = await self._discover(call, found, deployments)
            if owner is not None:
                return self._narrow(call, found._replace(home=owner), deployments, "discovered")
        return self._narrow(call, found, deployments, "home")

    async def preview(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """As `eligible`, but no deployment is asked and nothing is counted."""
        found = await self._homes.find(call, self._told(call))
        return self._narrow(call, found, deployments, "home")

    def _narrow(
        self, call: Call, found: Found, deployments: Sequence[Deployment], mode: Literal["home", "discovered"]
    ) -> Sequence[Deployment]:
        """Those of `deployments` that what was found leaves."""
        home = found.home
        if home is None:
            if found.lost is not None and (tied := found.tied) is not None:
                raise self._lost(found.lost, f"{tied.kind} {tied.name!r}", "this Router no longer has it")
            if found.leaning is not None and found.leaning in deployments and len(deployments) > 1:
                return Leaning(peers(found.leaning, deployments))
            return deployments
        held = self._residents.at_home(call.group, home, deployments, self._policy_of(call))
        if not held and (tied := found.tied) is not None:
            reason = f"it is in group {home.group!r}, and none that may serve a call to {call.group!r} shares its state"
            raise self._lost(home.id, f"{tied.kind} {tied.name!r}", reason)
        return held if mode == "home" else Home(held, Affinity(mode, home.id), held.policy)

    def _told(self, call: Call) -> Mapping[str, str]:
        """Owners that the call itself tells: deployment ids by store key."""
        return {}

    async def _discover(self, call: Call, found: Found, deployments: Sequence[Deployment]) -> Deployment | None:
        """Ask the deployments for the response that the call names."""
        assert self._discovery is not None
        wanted = next((tie for tie in found.unknown if tie.kind is TieKind.RESPONSE), None)
        if wanted is None:
            return None

        async def learn(owner: Deployment) -> None:
            self.stats.discovered += 1
            await self._homes.pins.learn(wanted.key, owner.id, tenant_of(call.scope))

        return await self._discovery.find(call.group, wanted.name, deployments, learn)

    async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
        """Learn what the deployment holds now, and whether it fails."""
        if isinstance(outcome, Started):
            found = self._found.get(call)
            unknown = tuple(tie.key for tie in found.unknown if tie.kind is TieKind.RESPONSE) if found else ()
            await self._homes.pins.learn(outcome.response_id, deployment.id, tenant_of(call.scope))
            await self._note(call, deployment, unknown)
        elif isinstance(outcome, Appeared):
            await self._note(call, deployment, learnt(outcome.event.to_dict()))
        elif isinstance(outcome, Failed):
            if not isinstance(outcome.error, (CallerError, RateLimitError)):
                self._failing.setdefault(deployment.id, (self._wall(), type(outcome.error).__name__))
        elif isinstance(outcome, Finished):
            self._failing.pop(deployment.id, None)
            if outcome.response is not None:
                await self._finish(call, deployment, outcome.response)

    async def _finish(self, call: Call, deployment: Deployment, response: View) -> None:
        if call.verb is Verb.DELETE and call.response_id is not None:
            await self._homes.pins.forget(call.response_id)
            if self._transcripts is not None:
                await self._transcripts.delete(call.response_id)
            return
        json = response.to_dict()
        found = self._found.get(call)
        held = tuple(tie.key for tie in found.unknown if tie.kind in _KEPT) if found else ()
        made_up = tuple(tie.key for tie in found.ties if tie.kind in MADE_UP) if found else ()
        news = (key for key in learnt(json) if key != json.get("id"))
        await self._note(call, deployment, (*news, *held, *made_up))
        if self._transcripts is not None and self._policy_of(call).on_lost == "replay":
            await self._record(self._transcripts, call, json)

    async def _record(self, transcripts: TranscriptStore, call: Call, json: JsonObject) -> None:
        """Keep what was said; of a background response, what it says when it is read later."""
        turn: Turn | None = None
        if call.verb is Verb.CREATE:
            turn = Turn.of(call, json)
        elif call.verb in (Verb.GET, Verb.CANCEL) and call.response_id is not None:
            known = await transcripts.get(call.response_id)
            turn = known.updated(json) if known is not None and not known.finished else None
        if turn is not None:
            await transcripts.put(turn, ttl=self._ttl)

    async def _note(self, call: Call, deployment: Deployment, keys: Sequence[str]) -> None:
        await self._homes.pins.note(keys, deployment.id, tenant_of(call.scope))

    async def rescue(self, call: Call, error: APIError) -> Call | None:
        """What follows when home can't serve: the conversation replayed elsewhere, or `HomeLostError`."""
        policy = self._policy_of(call)
        expired = isinstance(error, PreviousResponseNotFoundError)
        if isinstance(error, CallerError) and not (expired and policy.on_lost == "replay"):
            return None
        found = self._found.get(call) or await self._homes.find(call, self._told(call))
        if policy.on_lost == "replay" and self._transcripts is not None:
            return await self._replay(call, found, policy, error)
        if isinstance(error, RateLimitError):
            return None  # busy, not lost
        self.stats.lost += 1
        if isinstance(error, HomeLostError):
            raise error
        raise self._wrapped(found, error) from error

    async def _replay(self, call: Call, found: Found, policy: HomePolicy, error: APIError) -> Call:
        assert self._transcripts is not None
        owner = found.home.id if found.home is not None else found.lost or ""
        turns: list[Turn] | Broken = []
        previous = {**call.body, **call.extra_body}.get("previous_response_id")
        if isinstance(previous, str) and previous:
            turns = await chain(self._transcripts, previous)
        if isinstance(turns, Broken) or call.verb is not Verb.CREATE:
            self.stats.lost += 1
            why = str(turns) if isinstance(turns, Broken) else f"a {call.verb} can't be replayed"
            raise self._lost(owner, "the conversation", f"{error.message}; and {why}") from error
        try:
            replayed = replay(turns, call, lossy=policy.lossy, same_vendor=True)
        except HomeLostError as unsafe:
            self.stats.lost += 1
            raise self._lost(owner, "the conversation", f"{error.message}; and {unsafe.message}") from error
        self.stats.replayed += 1
        dropped = tuple(f"{part.kind} at {part.where}" for part in replayed.dropped)
        return replace(replayed.call, affinity=Affinity("replayed", owner, dropped))

    def _policy_of(self, call: Call) -> HomePolicy:
        return call.home or self._policies.get(call.group, self._policy)

    def _wrapped(self, found: Found, error: APIError) -> HomeLostError:
        owner = error.deployment_id or (found.home.id if found.home is not None else "")
        tied = found.tied
        what = f"{tied.kind} {tied.name!r}" if tied is not None else "the conversation"
        lost = self._lost(owner, what, error.message)
        lost.retry_after = error.retry_after
        lost.provider = error.provider
        return lost

    def _lost(self, owner: str, what: str, reason: str) -> HomeLostError:
        since, _ = self._failing.get(owner, (self._wall(), ""))
        error = HomeLostError(f"{what} is held by deployment {owner!r}: {reason}", code="home_lost")
        error.owner, error.reason, error.since = owner, reason, since
        error.deployment_id = owner or None
        return error
