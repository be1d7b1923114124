"""The nouns every room shares: what can serve (`Deployment`), what is asked (`Call`), what goes over the wire.

Plain frozen values. Nothing here sends, waits or remembers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from pydantic import SecretStr

from providers.rates import Rates

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""Any JSON value."""

JsonObject: TypeAlias = "dict[str, Json]"


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """Credentials that sign requests to AWS."""

    access_key: str = field(repr=False)
    secret_key: SecretStr
    session_token: SecretStr | None = None


Token: TypeAlias = "str | AwsKeys"
"""What says who calls, when it is fetched: a bearer token, or keys to sign with."""

TokenSource: TypeAlias = "Callable[[], Token] | Callable[[], Awaitable[Token]]"
"""Returns a token; what `azure_ad_token_provider` takes. It is expected to cache and to refresh by itself."""


class Dialect(StrEnum):
    """A protocol that deployments speak."""

    RESPONSES = "responses"
    """OpenAI's Responses API: the only one whose deployments remember what was said."""
    CHAT_COMPLETIONS = "chat_completions"
    """OpenAI's older API, and that of nearly everybody else."""
    MESSAGES = "messages"
    """Anthropic's."""
    CONVERSE = "converse"
    """Amazon Bedrock's."""
    GENERATE_CONTENT = "generate_content"
    """Google's."""

    @property
    def keeps_state(self) -> bool:
        """Whether a deployment that speaks it can be asked to continue a response by its id."""
        return self is _STATEFUL


_STATEFUL = Dialect.RESPONSES  # every follow-up asks


class Verb(StrEnum):
    """What a call asks for: the operations of the Responses API, and of the Conversations API beside it."""

    CREATE = "create"
    GET = "get"
    DELETE = "delete"
    CANCEL = "cancel"
    INPUT_ITEMS = "input_items"
    COMPACT = "compact"
    INPUT_TOKENS = "input_tokens"
    CREATE_CONVERSATION = "create_conversation"
    GET_CONVERSATION = "get_conversation"
    UPDATE_CONVERSATION = "update_conversation"
    DELETE_CONVERSATION = "delete_conversation"
    CREATE_CONVERSATION_ITEMS = "create_conversation_items"
    LIST_CONVERSATION_ITEMS = "list_conversation_items"
    GET_CONVERSATION_ITEM = "get_conversation_item"
    DELETE_CONVERSATION_ITEM = "delete_conversation_item"

    @property
    def by_id(self) -> bool:
        """Whether the verb names a stored response, or a conversation, in its path."""
        return self in _BY_ID

    @property
    def has_body(self) -> bool:
        """Whether what it says is its body; all else is in the query."""
        return self not in _BODILESS

    @property
    def asks_model(self) -> bool:
        """Whether a model reads what it says."""
        return self in _ASKING

    @property
    def of_conversations(self) -> bool:
        """Whether it is an operation of the Conversations API."""
        return self in _CONVERSATIONS


_ASKING = frozenset({Verb.CREATE, Verb.COMPACT, Verb.INPUT_TOKENS})
_BY_ID = frozenset(Verb) - _ASKING - {Verb.CREATE_CONVERSATION}
_BODILESS = _BY_ID - {Verb.UPDATE_CONVERSATION, Verb.CREATE_CONVERSATION_ITEMS}
_CONVERSATIONS = frozenset(Verb) - _ASKING - {Verb.GET, Verb.DELETE, Verb.CANCEL, Verb.INPUT_ITEMS}


UNFINISHED: Final = frozenset({"queued", "in_progress"})
"""States of a response that has not ended: it runs in the background."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a deployment's host: TLS and proxy. Deployments with equal settings share connections."""

    verify: bool | str = True
    """Check the server's certificate; a path names a CA bundle."""
    cert: str | None = None
    """Path of a PEM file with the client certificate and its key."""
    proxy: str | None = field(default=None, repr=False)
    """URL of an HTTP proxy; may hold its password."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Deployment:
    """One place that can serve a model. Built from one entry of `model_list`; compared by identity."""

    id: str
    """`model_info.id`, or a digest of everything but the credentials."""
    group: str
    """The `model_name` callers ask for."""
    provider: str
    """Name of the provider that translates for it: `openai`, `azure`, `azure_ai`, …"""
    model: str
    """The model's name upstream. A `*` stands for what the wildcard of the group matched."""
    dialect: Dialect = Dialect.RESPONSES
    """What it speaks."""
    api_base: str | None = None
    api_version: str | None = None
    api_key: SecretStr | None = field(default=None, repr=False)
    token_source: TokenSource | None = field(default=None, repr=False)
    organization: str | None = None
    project: str | None = None
    """OpenAI's project, or Google Cloud's."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Extra headers of every request to it."""
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Extra query parameters of every request to it."""
    defaults: Mapping[str, Json] = field(default_factory=dict, repr=False)
    """Body parameters used where the caller gave none."""
    extra_body: Mapping[str, Json] = field(default_factory=dict, repr=False)
    """Body parameters that win over the caller's; for other dialects also parameters of their own."""
    drop_params: bool = False
    """Leave out, and report, what its vendor has no word for, instead of refusing the call."""
    additional_drop_params: frozenset[str] = frozenset()
    """Parameters that are always left out, silently."""
    allowed_openai_params: frozenset[str] = frozenset()
    """Parameters that are passed on as they are, though its vendor is not known to have a word for them."""
    holds: frozenset[str] = frozenset()
    """Ids of files and vector stores that its account holds."""
    connection: Connection = Connection()
    weight: float | None = None
    """Share of the traffic relative to its siblings; None: unset, counts as 1."""
    order: int = 0
    """Tier: a higher one is used only when no deployment of a lower one is left."""
    rpm: int | None = None
    tpm: int | None = None
    max_parallel_requests: int | None = None
    tags: frozenset[str] = frozenset()
    region: str | None = None
    """Where it is; part of the address at Amazon (`aws_region_name`) and Google (`vertex_location`)."""
    account: str | None = None
    """Deployments of one account hold each other's stored responses."""
    timeout: float | None = None
    """Seconds for one attempt; None: the Router's."""
    stream_timeout: float | None = None
    """Seconds to the first event of a stream; None: the Router's."""
    idle_timeout: float | None = None
    """Seconds between two chunks of a stream; None: the Router's."""
    cooldown_time: float | None = None
    """Seconds the breaker stays open; None: the Router's rule."""
    num_retries: int | None = None
    health_check: Literal["off", "models", "call"] | None = None
    """How it is asked whether it is well; None: as the Router says."""
    health_check_model: str | None = None
    """The model that a health check calls, where `model` has a `*`."""
    max_input_tokens: int | None = None
    prices: Rates | None = None
    """What it costs, where that is not what its vendor publishes."""
    max_budget: float | None = None
    """US dollars that may be spent there in each `budget_duration`."""
    budget_duration: str | None = None
    info: Mapping[str, Json] = field(default_factory=dict, repr=False)
    """`model_info` beyond what the Router reads, kept for `get_model_list`."""
    memo: dict[str, object] = field(default_factory=dict, init=False, repr=False)
    """What a provider derives from the rest once (URLs, headers); freed with the deployment."""


@dataclass(frozen=True, slots=True)
class HomePolicy:
    """What to do when the deployment that holds a conversation, and all that share its state, can't serve."""

    on_lost: Literal["fail", "wait", "replay"] = "wait"
    """Fail at once; wait for it; or send the remembered conversation to another deployment."""
    wait: float = 10.0
    """Seconds to wait at most, for `wait`."""
    lossy: bool = False
    """Whether a replay may leave out what can't move, and report it, rather than fail."""


@dataclass(frozen=True, slots=True)
class Affinity:
    """How a call found the home of its conversation."""

    mode: Literal["home", "domain", "discovered", "replayed"]
    """The owner itself; another deployment that shares its state; an owner nobody remembered; another home."""
    home: str
    """Id of the deployment that was the owner."""
    dropped: tuple[str, ...] = ()
    """What a replay left out: what it was, and where it stood."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that a call refers to by its address."""

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Call:
    """One client call as the rooms below the Router see it. `dataclasses.replace` makes another."""

    group: str
    """Name of the group that serves it."""
    verb: Verb = Verb.CREATE
    body: Mapping[str, object] = field(default_factory=dict)
    """The caller's body parameters, unchanged. Values may be SDK or pydantic objects until they are encoded."""
    model: str = ""
    """The name the caller asked for, before aliases and wildcards."""
    wildcard: str = ""
    """What the `*` of the group's name stood for."""
    stream: bool = False
    response_id: str | None = None
    """The stored response that a by-id verb names; None if it names a conversation."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, object] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, object] = field(default_factory=dict, repr=False)
    metadata: Mapping[str, object] = field(default_factory=dict)
    """For checks, strategies and callbacks; never sent upstream."""
    home: HomePolicy | None = None
    """What to do when its home is lost; None: what its group, or the Router, does."""
    scope: str | None = field(default=None, repr=False)
    """The tenant it belongs to: only calls of the same scope know what it makes."""
    affinity: Affinity | None = None
    """Set when the call was moved from its home."""
    history: tuple[JsonObject, ...] = ()
    """Items of the turns before, for a deployment that keeps no state; `body` says what the caller added."""
    drop_params: bool | None = None
    """As `Deployment.drop_params`, for this call; None: what the deployment says."""
    allowed_openai_params: frozenset[str] = frozenset()
    """As `Deployment.allowed_openai_params`, for this call, besides those of the deployment."""
    id: str = ""
    """The call's own, whatever becomes of it on its way; that of its record."""
    fetched: Mapping[str, Fetched] = field(default_factory=dict, repr=False)
    """Files that were downloaded for it, by URL, as its deployment takes no addresses."""
    unsent: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Those of the caller's headers that are for the Router alone: they say who the end user is."""
    conversation_id: str | None = None
    """The conversation that a verb of the Conversations API names in its path."""
    item_id: str | None = None
    """The item of it that the path names."""
    native_query: bool = False
    """Whether `query` is in the words of the Responses API: nothing for those that don't speak it."""

    @property
    def previous_response_id(self) -> str | None:
        """The response this call continues, if any."""
        value = self.body.get("previous_response_id")
        return value if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as plain data; what a transport sends."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = b""
    dropped: tuple[str, ...] = ()
    """Parameters of the call that it does without, each with the reason: `top_logprobs: anthropic has no …`."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A complete reply as plain data; what a provider decodes. Header look-ups are by lower-case name."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    received: float = 0.0
    """Unix time at which the head arrived, seconds; what a `retry-after` date is compared with."""
