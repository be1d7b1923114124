"""Conversations over deployments that keep no state: what was said is kept here, and told anew with each call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final
from weakref import WeakKeyDictionary

from checks.affinity.domain import peers
from checks.affinity.homes import not_found, unknown_now
from checks.affinity.input_items import listed
from checks.affinity.pins import tenant_of
from checks.affinity.recalled import Recalled, items_in, referred, unsealed
from checks.affinity.tie import Tie, TieKind
from checks.affinity.transcript import Broken, TranscriptStore, Turn, chain
from checks.base import Answer, Failed, Finished, Leaning, Outcome, PreCallCheck, Remote
from providers.errors import APIError, BadRequestError, HomeLostError, ServiceUnavailableError
from providers.paging import page
from providers.translation.ids import is_minted, response_of
from providers.types import Call, Deployment, JsonObject, Verb
from providers.views import Deleted, ItemPage, Response

PATIENCE: Final = 10.0
"""Seconds that reading a conversation may take."""
MOST_TURNS: Final = 1_000
"""Turns of one conversation."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""Bytes of one conversation's items as JSON: about as much as the vendors take in one request."""
MOST_REFERRED: Final = 16
"""Responses whose items one call may refer to without continuing them."""
_STATEFUL: Final = ("background", "conversation", "prompt")
"""Parameters that only a deployment that keeps state can heed."""
_STATEFUL_VERBS: Final = frozenset({Verb.COMPACT, Verb.INPUT_TOKENS, Verb.CREATE_CONVERSATION})

_log = logging.getLogger("router")


class Remembered(PreCallCheck):
    """Keeps, for deployments whose dialect knows no state, what others keep themselves.

    Each of their responses is written down before the caller is handed its end. `previous_response_id` is then served
    by any deployment, the last one preferred: those without state get the conversation as history, others as input.
    Get, delete, cancel and the list of input items are answered from what is kept. Nothing is kept of a call with
    `store: false`, and nothing is told to another tenant than the call's own.
    """

    def __init__(self, store: TranscriptStore, *, ttl: float) -> None:
        """`ttl`: seconds that a turn lives after its last use."""
        self._store = store
        self._remote = store if isinstance(store, Remote) else None
        self._ttl = ttl
        self.needed = False
        """Whether there is, or was, a deployment that keeps no state."""
        self._deployments: Mapping[str, Deployment] = {}
        self._native: dict[str, tuple[Sequence[Deployment], Sequence[Deployment]]] = {}
        self._recalled: WeakKeyDictionary[Call, Recalled] = WeakKeyDictionary()

    def accept(self, deployments: Sequence[Deployment]) -> None:
        """Note which of these keep state."""
        self.needed = self.needed or not all(each.dialect.keeps_state for each in deployments)
        self._deployments = {each.id: each for each in deployments}
        self._native = {}

    async def group(self, response_id: str, scope: str | None) -> str | None:
        """The group that a response kept here was made in; None if it isn't kept."""
        turn = await self._find(response_id, scope)
        return None if turn is None else turn.group

    # answering

    async def answer(self, call: Call) -> Answer | None:
        """What a verb that names a response kept here is answered with; None if it isn't kept."""
        response_id = call.response_id
        if not call.verb.by_id or response_id is None:
            return None
        turn = await self._find(response_id, call.scope)
        whole = None if turn is None else turn.whole
        if turn is None or whole is None:
            return None
        if call.verb is Verb.GET:
            if call.stream or call.query.get("stream") in (True, "true"):
                message = "This response cannot be streamed because it was not created with background=true."
                raise _refusal(message, "stream")
            view = Response(whole)
        elif call.verb is Verb.INPUT_ITEMS:
            return Answer(ItemPage(page(listed(response_id, turn.input), call.query)), turn.deployment, turn.provider)
        elif call.verb is Verb.CANCEL:
            raise _refusal("Cannot cancel a synchronous response.")
        else:
            await self._store.delete(response_id)
            deleted: JsonObject = {"id": response_id, "object": "response", "deleted": True}
            return Answer(Deleted(deleted), turn.deployment, turn.provider)
        return Answer(view, turn.deployment, turn.provider)

    async def _find(self, response_id: str, scope: str | None) -> Turn | None:
        """The turn that made a response, if it was made where no state is kept, for this tenant."""
        turn = await self._store.get(response_id, fresh=True) if is_minted(response_id) else None
        ours = turn is not None and turn.response is not None and turn.tenant == tenant_of(scope)
        return turn if ours else None

    # who may serve

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """Who can go on: who keeps the conversation, or can be told it; the one that spoke last is preferred.

        What isn't known here is for those who keep state; if there are none, `KnownOnly` has the last word.
        """
        native = self._natives(call.group, deployments)
        if call.verb.by_id:
            return native or deployments
        body = {**call.body, **call.extra_body} if call.extra_body else call.body
        stateful = call.verb in _STATEFUL_VERBS or any(body.get(name) for name in _STATEFUL)
        among = native if native and stateful else deployments
        previous = _continued(call)
        references = {name for name in referred(call) if response_of(name) is not None}
        if not previous and not references:
            return among
        recalled = self._recalled.get(call)
        if recalled is None:
            recalled = self._recalled[call] = await self._recall(call, previous, references, bool(native))
        if recalled.ours:
            return self._leaning(recalled, among, bool(native))
        return (native or among) if previous else among

    def _leaning(self, recalled: Recalled, among: Sequence[Deployment], mixed: bool) -> Sequence[Deployment]:
        """Those of `among` that can be told the conversation; it is better served where its last turn was.

        `mixed`: some of them keep state.
        """
        if mixed and recalled.hindrance:
            able = tuple(each for each in among if not each.dialect.keeps_state)
            if not able:
                raise HomeLostError(f"what can't be sent to another deployment: {recalled.hindrance}", code="home_lost")
            return able
        last = self._deployments.get(recalled.turns[-1].deployment)
        preferred = () if last is None else peers(last, among)
        return Leaning(preferred) if 0 < len(preferred) < len(among) else among

    def _natives(self, group: str, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """Those of `deployments` that keep state: the same sequence for the same, as others remember by it."""
        known = self._native.get(group)
        if known is None or known[0] is not deployments:
            kept = tuple(each for each in deployments if each.dialect.keeps_state)
            known = self._native[group] = deployments, deployments if len(kept) == len(deployments) else kept
        return known[1]

    async def _recall(self, call: Call, previous: str, references: Collection[str], held: bool) -> Recalled:
        """What is known of the conversation, and of other items. `held`: others may hold it."""
        try:
            async with asyncio.timeout(PATIENCE):
                turns = await self._conversation(call, previous, held) if previous else []
                if isinstance(turns, Broken):
                    raise self._broken(call, previous, turns)
                return Recalled(tuple(turns), references, await self._referred(call, references, turns))
        except TimeoutError:
            raise ServiceUnavailableError(f"the conversation could not be read within {PATIENCE:g} s") from None

    async def _conversation(self, call: Call, name: str, held: bool) -> list[Turn] | Broken:
        """The turns that led to a response; none if it isn't known, or isn't for us to continue."""
        if held and not is_minted(name):
            return []
        last = await self._store.get(name)
        if last is None or last.tenant != tenant_of(call.scope) or _failed(last) or (held and last.response is None):
            return []
        if last.previous_response_id is None:
            return [last]
        earlier = await chain(self._store, last.previous_response_id, max_turns=MOST_TURNS, max_bytes=MOST_BYTES)
        return earlier if isinstance(earlier, Broken) else [*earlier, last]

    def _broken(self, call: Call, previous: str, broken: Broken) -> APIError:
        if broken.reason in ("missing", "cycle"):
            _log.info("response %s can't be continued: %s", previous, broken)
            return self._unknown(call, previous, "previous_response_id")
        return _refusal(f"previous_response_id: {broken}", "previous_response_id", "conversation_too_long")

    async def _referred(
        self, call: Call, references: Collection[str], turns: Sequence[Turn]
    ) -> Mapping[str, JsonObject]:
        """The items of `references` that are kept here and are not in `turns`, by their ids."""
        near = {turn.response_id for turn in turns}
        makers = {maker for name in references if (maker := response_of(name)) is not None} - near
        found: dict[str, JsonObject] = {}
        for maker in sorted(makers)[:MOST_REFERRED]:
            turn = await self._store.get(maker)
            if turn is not None and turn.response is not None and turn.tenant == tenant_of(call.scope):
                found |= {str(item.get("id")): item for item in items_in((turn,))}
        return {name: item for name, item in found.items() if name in references}

    def refuse(self, call: Call, deployments: Sequence[Deployment]) -> None:
        """Raise what OpenAI does for a response that isn't known here, if none of `deployments` can know it;
        `ServiceUnavailableError` while it may be kept in a store that is away."""
        recalled = self._recalled.get(call)
        unknown = recalled is not None and not recalled.turns and _continued(call)
        named = call.response_id is not None
        if not (unknown or named) or any(each.dialect.keeps_state for each in deployments):
            return
        if unknown:
            raise self._unknown(call, unknown, "previous_response_id")
        raise self._unknown(call, call.response_id or "", "response_id")

    def _unknown(self, call: Call, name: str, param: str) -> APIError:
        tie = Tie(TieKind.RESPONSE, name, name, True, param)
        blind = self._remote is not None and self._remote.down and is_minted(name)
        return unknown_now(tie) if blind else not_found(call, tie)

    def ties(self, call: Call) -> Collection[str]:
        """The store keys of what a call refers to that needs no home, as it is kept here. Asked after `eligible`."""
        recalled = self._recalled.get(call)
        return () if recalled is None else recalled.ties

    def follow(self, call: Call, other: Call) -> None:
        """Know of `other`, the same call under other ids, what is known of `call`."""
        recalled = self._recalled.get(call)
        if recalled is not None:
            self._recalled[other] = recalled

    def prepare(self, call: Call, deployment: Deployment) -> Call:
        """The call with its conversation, and without references to what only this Router knows."""
        recalled = self._recalled.get(call)
        if not deployment.dialect.keeps_state:
            return call if recalled is None else recalled.before(call)
        return unsealed(call) if recalled is None else recalled.within(call)

    # learning

    async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:
        """Keep the response of a deployment that doesn't: once it has ended, well or not."""
        if deployment.dialect.keeps_state or call.verb is not Verb.CREATE:
            return
        response: JsonObject | None = None
        if isinstance(outcome, Finished):
            response = None if outcome.response is None else outcome.response.to_dict()
        elif isinstance(outcome, Failed) and outcome.error.received is not None:
            received = outcome.error.received
            response = received if received.get("status") == "failed" else None
        turn = None if response is None or response.get("store") is False else Turn.of(call, response)
        if response is None or turn is None:
            return
        recalled = self._recalled.get(call)
        kept = replace(
            turn,
            store=False,
            input=turn.input if recalled is None else recalled.resolved(turn.input),
            response={**response, "output": None},
            deployment=deployment.id,
            provider=deployment.provider,
        )
        await self._store.put(kept, ttl=self._ttl)


class KnownOnly(PreCallCheck):
    """Refuses what only a deployment that keeps state could know, if none is left. Asked last: why none is left, other
    checks may know better."""

    def __init__(self, remembered: Remembered) -> None:
        self._remembered = remembered

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """All of them."""
        self._remembered.refuse(call, deployments)
        return deployments


def _continued(call: Call) -> str:
    """The response that a call continues, as the caller wrote it; empty if it continues none."""
    extra = call.extra_body
    previous = (extra if "previous_response_id" in extra else call.body).get("previous_response_id")
    return previous if isinstance(previous, str) else ""


def _failed(turn: Turn) -> bool:
    """Whether the turn ended with an error: such a response can be read, but there is nothing to go on from."""
    return turn.response is not None and turn.response.get("status") == "failed"


def _refusal(message: str, param: str | None = None, code: str | None = None) -> BadRequestError:
    detail: JsonObject = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return BadRequestError(message, param=param, code=code, type="invalid_request_error", body={"error": detail})
