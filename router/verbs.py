"""The operations of the Responses API as methods, async and sync; how a call is served is the subclass's to say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, Literal, cast, overload

from providers.types import Verb
from providers.views import CompactedResponse, Deleted, InputTokens, ItemPage, Response, Routed
from router.stream import ResponseStream
from router.sync import Portal, SyncResponseStream

UNSET: Any = object()
"""Stands for an argument that was not given."""


class Verbs(ABC):
    """Every verb, named as LiteLLM's Router names it; without the leading `a` it is the synchronous form."""

    _portal: Portal

    @abstractmethod
    async def _create(
        self, verb: Verb, model: str, params: dict[str, Any], *, stream: bool = False
    ) -> Routed | ResponseStream:
        """Serve a verb that has a body."""

    @abstractmethod
    async def _by_id(
        self, verb: Verb, response_id: str, model: str | None, params: dict[str, Any], *, stream: bool = False
    ) -> Routed | ResponseStream:
        """Serve a verb that names a stored response."""

    # the verbs, async

    @overload
    async def aresponses(
        self, model: str, input: Any = ..., *, stream: Literal[False] = False, **params: Any
    ) -> Response: ...
    @overload
    async def aresponses(
        self, model: str, input: Any = ..., *, stream: Literal[True], **params: Any
    ) -> ResponseStream: ...
    @overload
    async def aresponses(
        self, model: str, input: Any = ..., *, stream: bool, **params: Any
    ) -> Response | ResponseStream: ...
    async def aresponses(
        self, model: str, input: Any = UNSET, *, stream: bool = False, **params: Any
    ) -> Response | ResponseStream:
        """Create a response; streamed, an async iterator of its events.

        `model` is a group, an alias, a name that a wildcard matches, or a deployment's id. Of `params`, those in
        `router.request.ROUTING` are the Router's (`timeout`, `fallbacks`, `extra_headers`, …); all others go upstream
        as they are, unknown ones too. Raises the `APIError` the call ended with; its `attempts` say what was tried.
        """
        if input is not UNSET:
            params["input"] = input
        return cast("Response | ResponseStream", await self._create(Verb.CREATE, model, params, stream=stream))

    async def acompact_responses(self, model: str, input: Any = UNSET, **params: Any) -> CompactedResponse:
        """Compact a conversation into fewer tokens. Arguments and errors as of `aresponses`."""
        if input is not UNSET:
            params["input"] = input
        return cast("CompactedResponse", await self._create(Verb.COMPACT, model, params))

    async def acount_input_tokens(self, model: str, input: Any = UNSET, **params: Any) -> InputTokens:
        """Have the input's tokens counted by a deployment. Arguments and errors as of `aresponses`."""
        if input is not UNSET:
            params["input"] = input
        return cast("InputTokens", await self._create(Verb.INPUT_TOKENS, model, params))

    async def aget_responses(
        self, response_id: str, *, model: str | None = None, stream: bool = False, **params: Any
    ) -> Response | ResponseStream:
        """Read a stored response from the deployment that holds it; `stream=True` resumes a background one.

        `model`, a group, is needed only where nothing remembers who has what and there are several groups that keep
        it in different places. Raises `ResponseNotFoundError` if it is not there, `HomeLostError` if its owner is gone,
        `ServiceUnavailableError` while it can't be told where it is.
        """
        answer = await self._by_id(Verb.GET, response_id, model, params, stream=stream)
        return cast("Response | ResponseStream", answer)

    async def adelete_responses(self, response_id: str, *, model: str | None = None, **params: Any) -> Deleted:
        """Delete a stored response, and forget its owner. Errors as of `aget_responses`."""
        return cast("Deleted", await self._by_id(Verb.DELETE, response_id, model, params))

    async def acancel_responses(self, response_id: str, *, model: str | None = None, **params: Any) -> Response:
        """Cancel a background response. Errors as of `aget_responses`."""
        return cast("Response", await self._by_id(Verb.CANCEL, response_id, model, params))

    async def alist_input_items(self, response_id: str, *, model: str | None = None, **params: Any) -> ItemPage:
        """One page of a response's input items: `after`, `limit` (1-100), `order`, `include`; go on while `has_more`.

        Errors as of `aget_responses`.
        """
        return cast("ItemPage", await self._by_id(Verb.INPUT_ITEMS, response_id, model, params))

    # the verbs, sync

    @overload
    def responses(self, model: str, input: Any = ..., *, stream: Literal[False] = False, **params: Any) -> Response: ...
    @overload
    def responses(
        self, model: str, input: Any = ..., *, stream: Literal[True], **params: Any
    ) -> SyncResponseStream: ...
    @overload
    def responses(
        self, model: str, input: Any = ..., *, stream: bool, **params: Any
    ) -> Response | SyncResponseStream: ...
    def responses(
        self, model: str, input: Any = UNSET, *, stream: bool = False, **params: Any
    ) -> Response | SyncResponseStream:
        """As `aresponses`; streamed, an iterator of events."""
        if input is not UNSET:
            params["input"] = input
        return self._run(self._create(Verb.CREATE, model, params, stream=stream))

    def compact_responses(self, model: str, input: Any = UNSET, **params: Any) -> CompactedResponse:
        """As `acompact_responses`."""
        return self._portal.run(self.acompact_responses(model, input, **params))

    def count_input_tokens(self, model: str, input: Any = UNSET, **params: Any) -> InputTokens:
        """As `acount_input_tokens`."""
        return self._portal.run(self.acount_input_tokens(model, input, **params))

    def get_responses(
        self, response_id: str, *, model: str | None = None, stream: bool = False, **params: Any
    ) -> Response | SyncResponseStream:
        """As `aget_responses`."""
        return self._run(self._by_id(Verb.GET, response_id, model, params, stream=stream))

    def delete_responses(self, response_id: str, *, model: str | None = None, **params: Any) -> Deleted:
        """As `adelete_responses`."""
        return self._portal.run(self.adelete_responses(response_id, model=model, **params))

    def cancel_responses(self, response_id: str, *, model: str | None = None, **params: Any) -> Response:
        """As `acancel_responses`."""
        return self._portal.run(self.acancel_responses(response_id, model=model, **params))

    def list_input_items(self, response_id: str, *, model: str | None = None, **params: Any) -> ItemPage:
        """As `alist_input_items`."""
        return self._portal.run(self.alist_input_items(response_id, model=model, **params))

    def _run(self, work: Coroutine[Any, Any, Routed | ResponseStream]) -> Response | SyncResponseStream:
        served = self._portal.run(work)
        if isinstance(served, ResponseStream):
            return SyncResponseStream(served, self._portal)
        return cast("Response", served)
