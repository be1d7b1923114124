"""The operations of the Conversations API as methods, async and sync; how a call is served is the subclass's to say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from providers.errors import BadRequestError
from providers.types import Verb
from providers.views import Conversation, ConversationItem, Deleted, ItemPage, Routed
from router.sync import Portal

_P = ParamSpec("_P")
_T = TypeVar("_T")
_NAMES = ("conversation_id", "item_id")


def _synchronous(verb: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, _T]:
    """The same verb for synchronous callers."""

    @wraps(verb)
    def run(*args: _P.args, **params: _P.kwargs) -> _T:
        router = cast("Conversations", args[0])
        return router._portal.run(verb(*args, **params))

    run.__name__ = verb.__name__.removeprefix("a")
    run.__qualname__ = f"Conversations.{run.__name__}"
    run.__doc__ = f"As `{verb.__name__}`, for synchronous callers."
    return run


class Conversations(ABC):
    """Every verb, named as LiteLLM's proxy names it; without the leading `a` it is the synchronous form.

    A conversation lives at the one deployment that made it: with `responses_api_deployment_check`, whatever names it
    goes there. Arguments that are the Router's, and errors, are as of `Router.aget_responses`; all others go upstream.
    """

    _portal: Portal

    @abstractmethod
    async def _converse(self, verb: Verb, model: str | None, params: dict[str, Any], *names: str) -> Routed:
        """Serve a verb. `names`: the ids of the conversation, and of the item, as far as its path names them."""

    async def acreate_conversation(self, *, model: str | None = None, **params: Any) -> Conversation:
        """Create a conversation, perhaps with `items` and `metadata`, at a deployment of the group `model`.

        `model`, which is not sent, may be left out if only one group has deployments that keep conversations, or all
        that have keep them in the same places. Raises `UnsupportedParamsError` if there is none, `BadRequestError` that
        names them if there are several.
        """
        return cast("Conversation", await self._converse(Verb.CREATE_CONVERSATION, model, params))

    async def aget_conversation(self, conversation_id: str, *, model: str | None = None, **params: Any) -> Conversation:
        """Read a conversation: its metadata. Raises `ResponseNotFoundError` if it is not there."""
        return cast("Conversation", await self._converse(Verb.GET_CONVERSATION, model, params, conversation_id))

    async def aupdate_conversation(
        self, conversation_id: str, *, model: str | None = None, **params: Any
    ) -> Conversation:
        """Change a conversation's `metadata`."""
        return cast("Conversation", await self._converse(Verb.UPDATE_CONVERSATION, model, params, conversation_id))

    async def adelete_conversation(self, conversation_id: str, *, model: str | None = None, **params: Any) -> Deleted:
        """Delete a conversation, and forget where it was."""
        return cast("Deleted", await self._converse(Verb.DELETE_CONVERSATION, model, params, conversation_id))

    async def acreate_conversation_items(
        self, conversation_id: str, items: Sequence[Any], *, model: str | None = None, **params: Any
    ) -> ItemPage:
        """Add items to the end of a conversation. `include`: further parts to be told of them."""
        params["items"] = items
        include, query = params.pop("include", None), params.get("extra_query") or {}
        if include is not None and isinstance(query, Mapping):  # which it is a part of
            params["extra_query"] = {"include": include, **query}
        verb = Verb.CREATE_CONVERSATION_ITEMS
        return cast("ItemPage", await self._converse(verb, model, params, conversation_id))

    async def alist_conversation_items(
        self, conversation_id: str, *, model: str | None = None, **params: Any
    ) -> ItemPage:
        """One page of a conversation's items: `after`, `limit` (1-100), `order`, `include`; go on while `has_more`."""
        return cast("ItemPage", await self._converse(Verb.LIST_CONVERSATION_ITEMS, model, params, conversation_id))

    async def aget_conversation_item(
        self, conversation_id: str, item_id: str, *, model: str | None = None, **params: Any
    ) -> ConversationItem:
        """Read one item of a conversation."""
        verb = Verb.GET_CONVERSATION_ITEM
        return cast("ConversationItem", await self._converse(verb, model, params, conversation_id, item_id))

    async def adelete_conversation_item(
        self, conversation_id: str, item_id: str, *, model: str | None = None, **params: Any
    ) -> Conversation:
        """Delete one item of a conversation, which is returned."""
        verb = Verb.DELETE_CONVERSATION_ITEM
        return cast("Conversation", await self._converse(verb, model, params, conversation_id, item_id))

    create_conversation = _synchronous(acreate_conversation)
    get_conversation = _synchronous(aget_conversation)
    update_conversation = _synchronous(aupdate_conversation)
    delete_conversation = _synchronous(adelete_conversation)
    create_conversation_items = _synchronous(acreate_conversation_items)
    list_conversation_items = _synchronous(alist_conversation_items)
    get_conversation_item = _synchronous(aget_conversation_item)
    delete_conversation_item = _synchronous(adelete_conversation_item)


def check_names(model: object, names: Sequence[object]) -> None:
    """Raise `BadRequestError` for a `model`, or ids, that can't name anything."""
    if model is not None and (not isinstance(model, str) or not model):
        said = f"model: must be the name of a group, not {model!r}"
        raise BadRequestError(said, param="model", code="invalid_argument")
    for param, name in zip(_NAMES, names, strict=False):
        if not isinstance(name, str) or not name:
            what = f"must be the id of {'a conversation' if param == _NAMES[0] else 'an item'}"
            raise BadRequestError(f"{param}: {what}, not {name!r}", param=param, code="missing_required_parameter")
