"""A conversation comes home: to the deployment that holds what a call refers to."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal
from weakref import WeakKeyDictionary

from checks.affinity.discovery import Discovery
from checks.affinity.domain import peers
from checks.affinity.homes import Found, Homes, Locate, not_found, unknown_now
from checks.affinity.learnt import learnt
from checks.affinity.pins import AffinityStats, Pins, tenant_of
from checks.affinity.remembered import Remembered
from checks.affinity.residents import Residents, homes_of
from checks.affinity.retelling import Retelling
from checks.affinity.tie import Tie, TieKind, store_key
from checks.affinity.transcript import TranscriptStore
from checks.base import AffinityStore, Appeared, Failed, Home, Leaning, Outcome, PreCallCheck, Started
from providers.errors import APIError, CallerError, HomeLostError, PreviousResponseNotFoundError, RateLimitError
from providers.types import Affinity, Call, Deployment, HomePolicy, Verb
from providers.views import View

DEFAULT_TTL = 30 * 24 * 3600.0
"""Seconds a pin lives after its last use: as long as OpenAI stores a response."""
MOST_FAILING = 10_000
"""Deployments of which it is remembered since when they fail."""
GONE = "this Router no longer has it"
_UNKEPT = "no transcript is kept, as on_home_lost is 'replay' neither for this Router nor for a group of it"


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
        conversations: Discovery | None = None,
        transcripts: TranscriptStore | None = None,
        remembered: Remembered | None = None,
        acknowledged: bool = True,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`policies`: by group, instead of `policy`. `discovery` finds owners of responses that nobody remembers,
        `conversations` those of conversations. `transcripts` keep what a replay needs; without them nothing is
        replayed. `remembered`, which is asked before this check, knows what ties no call, as this Router keeps it
        itself. `acknowledged`: whether an id is handed out only when the store has its owner. `wall`: Unix time."""
        self._homes = Homes(Pins(store, ttl, acknowledged=acknowledged), locate)
        self._stats = self._homes.pins.stats
        self._policy = policy
        self._policies = policies or {}
        self._searches = {TieKind.RESPONSE: discovery, TieKind.CONVERSATION: conversations}
        self._remembered = remembered
        self._retelling = None if transcripts is None else Retelling(transcripts, ttl)
        self._wall = wall
        self._residents = Residents()
        self._found: WeakKeyDictionary[Call, Found] = WeakKeyDictionary()
        self._failing: dict[str, float] = {}

    @property
    def stats(self) -> AffinityStats:
        """What happened so far, counted."""
        return self._stats

    def accept(self, deployments: Sequence[Deployment]) -> None:
        """Remember what these say they hold, and where they keep their state, for when one is gone."""
        self._homes.know(deployments)

    async def home(self, name: str, scope: str | None = None, kind: TieKind = TieKind.RESPONSE) -> Deployment | None:
        """The deployment that holds a response, or what `kind` says; None if nobody remembers, or it is another
        tenant's than `scope`.

        Perhaps one that was removed: others may hold what it held. Raises `HomeLostError` if it was never here.
        """
        pin = await self._homes.pins.owner(store_key(kind, name))
        if pin is None or pin.tenant != tenant_of(scope):
            return None
        owner = self._homes.owner(pin.deployment_id)
        if owner is None:
            raise self._lost(pin.deployment_id, f"{kind} {name!r}", GONE)
        return owner

    async def search(self, call: Call, tie: Tie, deployments: Sequence[Deployment]) -> Deployment | None:
        """Ask `deployments`, of any group, for what `call` names and `home` did not find; None if nobody can be asked.

        Raises what OpenAI does if none of them has it, `ServiceUnavailableError` if that can't be told now.
        """
        discovery = self._searches.get(tie.kind)
        if discovery is not None:
            owner = await self._search(discovery, tie, call, "", deployments)
            if owner is not None:
                return owner
            certain = discovery.certain("", tie.name, deployments)
            if certain:
                raise not_found(call, tie)
            if certain is False:
                raise unknown_now(tie)
        return None

    def missing(self, call: Call, tie: Tie, hint: str = "") -> APIError:
        """What is answered for what `home` did not find, and nobody can be asked for. `hint`: what more there is to
        say of it."""
        return self._homes.missing(call, tie, hint)

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """The deployments of the call's home; all, if it has none."""
        found = await self._homes.find(call, self._told(call), self._kept(call))
        if not found.ties:
            return deployments
        if found.home is not None:
            self._stats.hit += 1
        elif found.unknown:
            self._stats.miss += 1
        mode: Literal["home", "discovered"] = "home"
        wanted = self._wanted(found)
        if wanted is not None:
            owner = await self._discover(wanted, call, found, deployments)
            if owner is not None:
                rest = tuple(tie for tie in found.unknown if tie.kind is not wanted.kind)
                found, mode = found._replace(home=owner, others=(), unknown=rest), "discovered"
        if found.home is None or found.gone or len(found.ties) > 1:
            self._found[call] = found  # one tie to a known home is soon looked up again
        return self._narrow(call, found, deployments, mode)

    async def preview(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """As `eligible`, but no deployment is asked and nothing is counted."""
        found = await self._homes.find(call, self._told(call), self._kept(call))
        return self._narrow(call, found, deployments, "home")

    def _narrow(
        self, call: Call, found: Found, deployments: Sequence[Deployment], mode: Literal["home", "discovered"]
    ) -> Sequence[Deployment]:
        """Those of `deployments` that what was found leaves."""
        home = found.home
        if found.lost is not None:
            raise self._lost(found.lost.owner, self._shown(call, found.lost.tie), GONE)
        if home is not None:
            policy = self._policy_of(call)
            if found.others:
                held = homes_of((home, *found.others), deployments, policy)
            else:
                held = self._residents.at_home(call.group, home, deployments, policy)
            if not held:
                elsewhere = f"it is in group {home.group!r}, and none that may serve a call to {call.group!r}"
                reason = GONE if found.gone else f"{elsewhere} shares its state"
                raise self._lost(home.id, self._shown(call, found.tied), reason)
            return held if mode == "home" else Home(held, Affinity(mode, home.id), held.policy)
        if found.leaning is not None and found.leaning.group == call.group:
            preferred = peers(found.leaning, deployments)
            if 0 < len(preferred) < len(deployments):
                return Leaning(preferred)
        return deployments

    def _told(self, call: Call) -> Mapping[str, str]:
        """Owners that the call itself tells: deployment ids by store key."""
        return {}

    def _kept(self, call: Call) -> Collection[str]:
        """Store keys of what this Router keeps itself."""
        return () if self._remembered is None else self._remembered.ties(call)

    def _shown(self, call: Call, tie: Tie | None) -> str:
        """What a tie refers to, for an error."""
        return "the conversation" if tie is None else f"{tie.kind} {tie.name!r}"

    def _wanted(self, found: Found) -> Tie | None:
        """What the call names that is worth searching for."""
        if found.lost is not None or (found.home is not None and not found.others):
            return None
        return next((tie for tie in found.unknown if self._searches.get(tie.kind) is not None), None)

    async def _discover(
        self, wanted: Tie, call: Call, found: Found, deployments: Sequence[Deployment]
    ) -> Deployment | None:
        """Ask the deployments for what the call names."""
        discovery = self._searches[wanted.kind]
        assert discovery is not None, "it is searched for"
        if found.home is not None:
            deployments = homes_of((found.home, *found.others), deployments, self._policy_of(call))
        deployments = [each for each in deployments if each.dialect.keeps_state]
        return await self._search(discovery, wanted, call, call.group, deployments)

    async def _search(
        self, discovery: Discovery, tie: Tie, call: Call, group: str, deployments: Sequence[Deployment]
    ) -> Deployment | None:
        async def learn(owner: Deployment) -> None:
            self.stats.discovered += 1
            await self._homes.pins.learn(tie.key, owner.id, tenant_of(call.scope))

        return await discovery.find(group, tie.name, deployments, learn)

    # learning

    async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
        """Learn what the deployment holds now, and whether it fails."""
        if isinstance(outcome, Started):
            found = self._found.get(call)
            if not deployment.dialect.keeps_state:
                return  # nobody need come back for what it doesn't keep
            # a read of what is known to be here, or with one that shares its state, teaches nothing
            if outcome.response_id != call.response_id or (found is not None and (found.home is None or found.gone)):
                await self._homes.pins.learn(outcome.response_id, deployment.id, tenant_of(call.scope))
            if found is not None:
                continued = (key for key in found.continued if key != outcome.response_id)
                await self._note(call, deployment, continued)
        elif isinstance(outcome, Appeared):
            await self._note(call, deployment, learnt(outcome.event.to_dict()))
        elif isinstance(outcome, Failed):
            if not isinstance(outcome.error, (CallerError, RateLimitError)):
                self._fails(deployment.id)
        else:
            self._failing.pop(deployment.id, None)
            if outcome.response is not None:
                await self._finish(call, deployment, outcome.response)

    async def _finish(self, call: Call, deployment: Deployment, response: View) -> None:
        if call.verb is Verb.DELETE and call.response_id is not None:
            await self._homes.pins.forget(call.response_id)
            if self._retelling is not None:
                await self._retelling.forget(call.response_id)
            return
        if call.verb is Verb.DELETE_CONVERSATION and call.conversation_id is not None:
            await self._homes.pins.forget(store_key(TieKind.CONVERSATION, call.conversation_id))
            return
        json = response.to_dict()
        news = [key for key in learnt(json) if key != json.get("id")]
        if call.verb is Verb.CREATE_CONVERSATION:  # whoever has its id may go on in another process at once
            for key in news:
                await self._homes.pins.learn(key, deployment.id, tenant_of(call.scope))
            news = []
        found = self._found.get(call)
        if found is not None:
            # what a call that succeeded named is evidently held here; responses were learnt when this one began
            news += (tie.key for tie in (*found.unknown, *found.free) if tie.kind is not TieKind.RESPONSE)
        await self._note(call, deployment, news)
        kept = not deployment.dialect.keeps_state  # by `Remembered`
        if self._retelling is not None and not kept and self._policy_of(call).on_lost == "replay":
            await self._retelling.record(call, json)

    async def _note(self, call: Call, deployment: Deployment, keys: Iterable[str]) -> None:
        await self._homes.pins.note(tuple(keys), deployment.id, tenant_of(call.scope))

    # when home is lost

    async def rescue(self, call: Call, error: APIError) -> Call | None:
        """What follows when home can't serve: the conversation replayed elsewhere, or `HomeLostError`."""
        policy = self._policy_of(call)
        replays = policy.on_lost == "replay" and self._retelling is not None
        expired = isinstance(error, PreviousResponseNotFoundError)
        if call.affinity is not None or (isinstance(error, CallerError) and not (expired and replays)):
            return None
        found = self._found.get(call) or await self._homes.find(call, self._told(call), self._kept(call))
        if not found.ties:
            return None  # it wasn't this check that sent it home
        owner = found.lost.owner if found.lost is not None else "" if found.home is None else found.home.id
        if policy.on_lost == "replay" and self._retelling is not None:
            homes = () if found.home is None else (found.home, *found.others)
            places = self._homes.holdings.elsewhere(call.group, homes)
            try:
                replayed = await self._retelling.retell(call, owner, lossy=policy.lossy, places=places)
            except HomeLostError as unsafe:
                if isinstance(error, RateLimitError):
                    return None  # busy, not lost
                self.stats.lost += 1
                raise self._ended(call, found, owner, error, f"{_reason(error)}; and {unsafe.message}") from error
            self.stats.replayed += 1
            return replayed
        if isinstance(error, RateLimitError):
            return None
        self.stats.lost += 1
        if isinstance(error, HomeLostError):
            raise error
        reason = f"{error.message}; and {_UNKEPT}" if policy.on_lost == "replay" else error.message
        raise self._ended(call, found, owner, error, reason) from error

    def _policy_of(self, call: Call) -> HomePolicy:
        return call.home or self._policies.get(call.group, self._policy)

    def _ended(self, call: Call, found: Found, owner: str, error: APIError, reason: str) -> HomeLostError:
        """What a call ends with whose home failed with `error`."""
        tie = found.lost.tie if found.lost is not None else found.tied
        lost = self._lost(owner, self._shown(call, tie), reason)
        lost.retry_after, lost.provider = error.retry_after, error.provider
        return lost

    def _lost(self, owner: str, what: str, reason: str) -> HomeLostError:
        error = HomeLostError(f"{what} is held by deployment {owner!r}: {reason}", code="home_lost")
        error.owner, error.reason, error.since = owner, reason, self._fails(owner)
        error.deployment_id = owner
        return error

    def _fails(self, deployment_id: str) -> float:
        """Since when a deployment fails: from now on, if it didn't before. Unix time."""
        if len(self._failing) >= MOST_FAILING:
            self._failing.clear()
        return self._failing.setdefault(deployment_id, self._wall())


def _reason(error: APIError) -> str:
    """Why home can't serve; of an error that says more, the bare reason."""
    return error.reason if isinstance(error, HomeLostError) and error.reason else error.message
