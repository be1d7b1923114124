"""The endpoints of the Conversations API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from providers.errors import BadRequestError
from providers.types import Verb
from router.locating import group_for_conversation
from router.proxy.asking import arguments
from router.proxy.exchange import Exchange
from router.proxy.keys.keys import Keys
from router.proxy.presence import Presence
from router.proxy.responses import Responses
from router.router import Router

MODEL: Final = "x-homing-model"
"""The header that may say which group is meant, as may `model` in the body or in the query: OpenAI's API has none."""
_Part: TypeAlias = "str | None"


class Conversations:
    """Answers for the Router."""

    def __init__(self, router: Router, answers: Responses, keys: Keys) -> None:
        self._router = router
        self._answers = answers
        self._keys = keys

    def routes(self, any: None) -> Mapping[tuple[_Part, ...], Mapping[str, Callable[..., Awaitable[None]]]]:
        """All of them: methods by path. `any` stands for a part that is a name."""
        one, items = ("conversations", any), ("conversations", any, "items")
        verbs: Mapping[tuple[_Part, ...], Mapping[str, Verb]] = {
            ("conversations",): {"POST": Verb.CREATE_CONVERSATION},
            one: {
                "GET": Verb.GET_CONVERSATION,
                "POST": Verb.UPDATE_CONVERSATION,
                "DELETE": Verb.DELETE_CONVERSATION,
            },
            items: {"GET": Verb.LIST_CONVERSATION_ITEMS, "POST": Verb.CREATE_CONVERSATION_ITEMS},
            (*items, any): {"GET": Verb.GET_CONVERSATION_ITEM, "DELETE": Verb.DELETE_CONVERSATION_ITEM},
        }
        return {
            path: {method: partial(self._serve, verb) for method, verb in methods.items()}
            for path, methods in verbs.items()
        }

    async def _serve(self, verb: Verb, exchange: Exchange, *names: str) -> None:
        """Serve one operation on the conversation, and on its item, that the path names."""
        params = arguments(exchange, await self._answers.body(exchange) if exchange.method == "POST" else {})
        model = _model(exchange, params)
        if model is not None:
            self._keys.check_model(exchange.holder, model)
        async with Presence(exchange):
            if verb is Verb.CREATE_CONVERSATION:
                await self._create(exchange, model, params)
            else:
                await self._answers.tell(exchange, await self._router._converse(verb, model, params, *names))

    async def _create(self, exchange: Exchange, model: str | None, params: dict[str, Any]) -> None:
        verb, holder = Verb.CREATE_CONVERSATION, exchange.holder
        if model is None:
            model = group_for_conversation(self._router._registry, partial(self._keys.may_use, holder))
        async with self._keys.passage(holder, verb, model, params) as passage:
            answer = await self._router._converse(verb, model, params)
            passage.served(answer)
        await self._answers.tell(exchange, answer, limits=passage.headers)


def _model(exchange: Exchange, params: dict[str, Any]) -> str | None:
    """The group that is meant, taken out of what goes upstream; None if it is not said. Raises `BadRequestError`."""
    query: dict[str, Any] = params.get("extra_query", {})
    said = [params.pop("model", None), query.pop("model", None), exchange.headers.get(MODEL)]
    model = next((each for each in said if each is not None), None)
    if model is not None and (not isinstance(model, str) or not model):
        raise BadRequestError("model: must be the name of a group", param="model", code="invalid_argument")
    return model
