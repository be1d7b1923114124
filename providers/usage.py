"""What a call used and what that costs: the nouns, and how to read them from a response.

Every dialect's usage is told as OpenAI's Responses API tells it (`providers.translation.narrator.usage_of`), so one
reader does for all of them, streamed or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

import msgspec

from providers.types import Deployment, Json, JsonObject


class TokenUsage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens by class, and what else vendors bill by."""

    input_tokens: int = 0
    """All of the input; what was read from and written to a cache is part of it."""
    output_tokens: int = 0
    """All of the output; reasoning is part of it."""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    """Those of the written that are kept for an hour, not for minutes, where a vendor tells them apart."""
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    web_searches: int = 0
    """Searches that the vendor made."""
    estimated: bool = False
    """Whether it was guessed from the text, as the vendor never said: of a stream that was left, or broke off."""
    cache_read_audio_tokens: int = 0
    """Those of the tokens read from a cache that are audio."""
    output_image_tokens: int = 0
    file_searches: int = 0
    """Searches in the account's own files."""

    @property
    def total_tokens(self) -> int:
        """Input and output."""
        return self.input_tokens + self.output_tokens


class Cost(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a call costs, in US dollars, with the parts it is made of."""

    total: float | None
    """The sum of the parts; None if it is not known."""
    reason: str | None = None
    """Why it is not known."""
    input: float = 0.0
    """Input that no cache had."""
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0
    requests: float = 0.0
    """What is billed by the piece: the request itself, searches."""
    source: str = ""
    """Whose prices these are: `deployment`, or the name of the price source."""
    model: str = ""
    """The model whose prices were used, as the source calls it."""


class Spent(msgspec.Struct, frozen=True, gc=False):
    """What an answer that failed has used."""

    usage: TokenUsage
    answer: JsonObject
    """Who gave it, in which tier: what the response says of itself, without its contents."""


class PriceSource(Protocol):
    """Knows what calls cost."""

    def cost(
        self, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        """What `usage` costs on `deployment`, where `model` answered in `service_tier` at the Unix time `at`.

        Never raises: what it does not know is a `Cost` with a `reason`, never one of 0.
        """
        ...


@runtime_checkable
class Loads(Protocol):
    """What a price source may have besides, if it has to load what it knows."""

    def loader(self, deployment: Deployment) -> Callable[[], object] | None:
        """What is to run, off the event loop, before `cost` of a call to `deployment` is quick; None: nothing."""
        ...

    def close(self) -> None:
        """End what it keeps running. It may be asked again after that."""
        ...


class Bill(msgspec.Struct, eq=False):  # made for each call, which `__init__` of a class of Python would hold up
    """What a call costs, worked out when it is first asked for, if it ever is."""

    _made: Callable[[], Cost] | Cost

    @property
    def ready(self) -> bool:
        """Whether it has been worked out."""
        return isinstance(self._made, Cost)

    @property
    def cost(self) -> Cost:
        """The cost; the same object each time."""
        made = self._made
        if not isinstance(made, Cost):
            self._made = made = made()
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bill) and self.cost == other.cost

    def __hash__(self) -> int:
        return hash(self.cost)

    def __repr__(self) -> str:
        return f"Bill({self._made})" if isinstance(self._made, Cost) else "Bill(…)"

    def __reduce__(self) -> tuple[type[Bill], tuple[Cost]]:
        return Bill, (self.cost,)


def read_usage(response: JsonObject) -> TokenUsage | None:
    """The usage that a response tells; None if it tells none, or what makes no sense."""
    usage = response.get("usage")
    if not isinstance(usage, dict):
        return None
    whole, answered = count(usage, "input_tokens"), count(usage, "output_tokens")
    if not (whole or answered) and not any(type(usage.get(name)) is int and not usage[name] for name in _TOLD):
        return None
    said = response.get("output")
    output = said if isinstance(said, list) else []
    given, told = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    given = given if isinstance(given, dict) else _NOTHING
    told = told if isinstance(told, dict) else _NOTHING
    return TokenUsage(
        whole,
        answered,
        count(given, "cached_tokens"),
        count(given, "cache_write_tokens"),
        count(given, "cache_write_1h_tokens"),
        count(told, "reasoning_tokens"),
        count(given, "audio_tokens"),
        count(told, "audio_tokens"),
        _searches(output),
        False,
        count(given, "cached_audio_tokens"),
        count(told, "image_tokens"),
        sum(isinstance(item, dict) and item.get("type") == "file_search_call" for item in output),
    )


def read_spent(response: JsonObject) -> Spent | None:
    """What a response that failed has used; None if it does not say."""
    usage = read_usage(response)
    if usage is None:
        return None
    return Spent(usage, {name: response[name] for name in _IDENTITY if name in response})


_IDENTITY: Final = ("id", "model", "status", "service_tier")
_TOLD: Final = ("input_tokens", "output_tokens")
_NOTHING: JsonObject = {}
_MOST: Final = 2**53
"""More tokens than that are nonsense."""


def count(counts: JsonObject, name: str) -> int:
    """A number of tokens; nonsense is 0."""
    value = counts.get(name)
    return value if type(value) is int and 0 < value <= _MOST else 0


def _searches(output: list[Json]) -> int:
    """Searches that the vendor made; those that failed are not billed, nor is opening a page that was found."""
    found = 0
    for item in output:
        if isinstance(item, dict) and item.get("type") == "web_search_call" and item.get("status") != "failed":
            action = item.get("action")
            found += not isinstance(action, dict) or action.get("type") in (None, "search")
    return found
