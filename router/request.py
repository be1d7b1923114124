"""What a caller passes to a verb, sorted: what goes upstream, and what is for the Router."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeVar, cast, get_args

from pydantic import TypeAdapter, ValidationError

from providers.errors import BadRequestError
from providers.queries import NativeQuery
from providers.types import Call, HomePolicy, Verb
from router.config.credentials import Credentials
from router.config.entry import PLACE
from router.config.targets import FallbackMap, OnHomeLost, RetryPolicy
from router.config.targets import Target as TargetModel
from router.plan import Policy, Target
from router.run import Limits

T = TypeVar("T")

_LIMITS = ("timeout", "stream_timeout", "idle_timeout", "deadline")
_WIRE = ("extra_headers", "extra_query", "extra_body", "litellm_metadata")
_POLICY = (
    "num_retries",
    "retry_policy",
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "max_fallbacks",
    "disable_fallbacks",
)
_HOME = ("on_home_lost", "home_wait", "replay")
_TRANSLATION = ("drop_params", "allowed_openai_params")
_FIXED = PLACE | Credentials.model_fields.keys() | Credentials.synonyms.keys()
"""What a deployment has and no call can replace. Sent on, it would show a secret to whoever serves the call."""
ROUTING = frozenset((*_LIMITS, *_WIRE, *_POLICY, *_HOME, *_TRANSLATION, "affinity_scope", *_FIXED))
"""Arguments of every verb that are the Router's; all others go upstream."""

_NO_LIMITS = Limits()
_MAPS: TypeAdapter[dict[str, list[TargetModel]]] = TypeAdapter(FallbackMap)
_LISTS = TypeAdapter(list[TargetModel])
_RETRIES = TypeAdapter(RetryPolicy)


class Request:
    """One verb's arguments, sorted and checked. Raises `BadRequestError` naming the argument that is wrong."""

    __slots__ = ("_options", "body", "conversation_id", "item_id", "limits", "model", "verb")

    def __init__(
        self,
        verb: Verb,
        model: str,
        params: dict[str, object],
        conversation_id: str | None = None,
        item_id: str | None = None,
    ) -> None:
        self.verb = verb
        self.conversation_id = conversation_id
        self.item_id = item_id
        self.model = model
        self.limits = _NO_LIMITS
        if ROUTING.isdisjoint(params):
            self.body: dict[str, object] = params
            self._options: dict[str, object] = {}
            return
        self.body = {name: value for name, value in params.items() if name not in ROUTING}
        self._options = {name: params[name] for name in ROUTING & params.keys() if params[name] is not None}
        for name in sorted(_FIXED & self._options.keys()):
            said = "is a deployment's, which a call can't replace; put it into the model_list"
            raise self._wrong(name, f"{said}, or call router.aresponses() without a Router")
        self.limits = Limits(**{name: self._seconds(name) for name in _LIMITS if name in self._options})

    def call(
        self,
        *,
        stream: bool,
        response_id: str | None = None,
        group: str = "",
        wildcard: str = "",
        unsent: Collection[str] = (),
        identity: str = "",
        usual: HomePolicy | None = None,
    ) -> Call:
        """The call, for `group`. Of verbs without a body everything but the id is in the query.

        `unsent`: names, in lower case, of headers that are not the vendor's business. `identity`: the call's own id.
        `usual`: what follows where its home is lost, where the call says only part of it.
        """
        query = self._mapping("extra_query")
        body: dict[str, object] = self.body
        if not self.verb.has_body:
            query, body = {**body, **query}, {}
            if stream:
                query["stream"] = True
        if not self._options and self.conversation_id is None:
            return Call(group, self.verb, body, self.model, wildcard, stream, response_id, query=query, id=identity)
        headers = {name: str(value) for name, value in self._mapping("extra_headers").items()}
        kept = {name: value for name, value in headers.items() if name.lower() in unsent} if headers else {}
        return Call(
            group=group,
            verb=self.verb,
            body=body,
            model=self.model,
            wildcard=wildcard,
            stream=stream,
            response_id=response_id,
            headers={name: value for name, value in headers.items() if name not in kept} if kept else headers,
            query=query,
            extra_body=self._mapping("extra_body"),
            metadata=self._mapping("litellm_metadata"),
            home=None if usual is None else self.home(usual),
            scope=self.scope,
            drop_params=self._switch("drop_params") if "drop_params" in self._options else None,
            allowed_openai_params=frozenset(self._names("allowed_openai_params")),
            unsent=kept,
            id=identity,
            conversation_id=self.conversation_id,
            item_id=self.item_id,
            native_query=isinstance(self._options.get("extra_query"), NativeQuery),
        )

    def policy(self, policy: Policy, group: str) -> Policy:
        """`policy` with what this call changes of it."""
        options = self._options
        if options.keys().isdisjoint(_POLICY):
            return policy
        changes: dict[str, object] = {}
        if "num_retries" in options:
            changes |= {"num_retries": self._count("num_retries"), "insistent": True}
        if "retry_policy" in options:
            changes["retry_policy"] = retries(self._parsed("retry_policy", _RETRIES))
        if "fallbacks" in options:
            changes |= {"fallbacks": {group: self._targets("fallbacks", group)}, "default_fallbacks": ()}
        for name in ("context_window_fallbacks", "content_policy_fallbacks"):
            if name in options:
                changes[name] = {group: self._targets(name, group)}
        if "max_fallbacks" in options:
            changes["max_fallbacks"] = self._count("max_fallbacks")
        if "disable_fallbacks" in options:
            changes["disable_fallbacks"] = self._switch("disable_fallbacks")
        return replace(policy, **changes)  # type: ignore[arg-type]  # the names are Policy's own

    def home(self, usual: HomePolicy) -> HomePolicy | None:
        """What follows when this call's home is lost; None: the usual."""
        options = self._options
        if options.keys().isdisjoint(_HOME):
            return None
        return HomePolicy(
            cast("OnHomeLost", self._one_of("on_home_lost", get_args(OnHomeLost), usual.on_lost)),
            self._seconds("home_wait", or_none=True) if "home_wait" in options else usual.wait,
            self._one_of("replay", ("strict", "lossy"), "lossy" if usual.lossy else "strict") == "lossy",
        )

    @property
    def scope(self) -> str | None:
        """The tenant it belongs to."""
        value = self._options.get("affinity_scope")
        if value is not None and (not isinstance(value, str) or not value):
            kind = "an empty one" if value == "" else type(value).__name__
            raise self._wrong("affinity_scope", f"must be a text that names a tenant, not {kind}")
        return value

    # arguments

    def _one_of(self, name: str, known: tuple[str, ...], default: str) -> str:
        value = self._options.get(name, default)
        if value not in known:
            raise self._wrong(name, f"must be one of {', '.join(map(repr, known))}, not {value!r}")
        return str(value)

    def _seconds(self, name: str, *, or_none: bool = False) -> float:
        """Seconds above 0; with `or_none` 0 will do."""
        value = self._options[name]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not (value > 0 or (or_none and value == 0)):  # type: ignore[operator]  # it is a number
            raise self._wrong(name, f"must be a number of seconds {'from' if or_none else 'above'} 0, not {value!r}")
        return float(value)  # type: ignore[arg-type]  # the same

    def _count(self, name: str) -> int:
        value = self._options[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong(name, f"must be a whole number from 0, not {value!r}")
        return value

    def _switch(self, name: str) -> bool:
        value = self._options[name]
        if not isinstance(value, bool):
            raise self._wrong(name, f"must be True or False, not {value!r}")
        return value

    def _names(self, name: str) -> list[str]:
        value = self._options.get(name, [])
        if not isinstance(value, (list, tuple, set, frozenset)) or not all(isinstance(each, str) for each in value):
            raise self._wrong(name, "must be a list of parameters' names")
        return [*value]

    def _mapping(self, name: str) -> dict[str, object]:
        value = self._options.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self._wrong(name, f"must be a mapping, not {type(value).__name__}")
        return {str(key): item for key, item in value.items()}

    def _targets(self, name: str, group: str) -> tuple[Target, ...]:
        """A list of groups for this call, or the Router's own form: a mapping, or a list of one-key mappings."""
        value = self._options[name]
        items = value if isinstance(value, list) else []
        if isinstance(value, Mapping) or (items and all(isinstance(i, Mapping) and "model" not in i for i in items)):
            table = self._parsed(name, _MAPS)
            return targets(table.get(group) or table.get("*", []))
        return targets(self._parsed(name, _LISTS))

    def _parsed(self, name: str, adapter: TypeAdapter[T]) -> T:
        try:
            return adapter.validate_python(self._options[name])
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise self._wrong(name, str(first["msg"])) from None

    def _wrong(self, name: str, problem: str) -> BadRequestError:
        return BadRequestError(f"{name}: {problem}", param=name, code="invalid_argument")


def targets(models: list[TargetModel]) -> tuple[Target, ...]:
    """The plan's targets for configured ones."""
    return tuple(Target(each.model, each.overrides) for each in models)


def retries(policy: RetryPolicy) -> dict[str, int]:
    """Retries by class, of those that are set."""
    return {name: count for name, count in policy.model_dump().items() if count is not None}
