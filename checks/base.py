"""What a pre-call check is: a filter that may wait, and may learn."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol, Self, TypeAlias, runtime_checkable

from providers.errors import APIError
from providers.types import Affinity, Call, Deployment, HomePolicy, JsonObject
from providers.views import Routed, View


@dataclass(frozen=True, slots=True)
class Started:
    """A response exists and has this id. Observed before the caller can know the id."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Appeared:
    """An event of a stream announced or finished an output item. Observed before it is handed out."""

    event: View


@dataclass(frozen=True, slots=True)
class Finished:
    """The attempt served the call. Observed at the reply, or when the stream has ended or was closed."""

    response: View | None
    """The final JSON; None if a stream was closed before it arrived."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed."""

    error: APIError


Outcome: TypeAlias = Started | Appeared | Finished | Failed


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known without asking a deployment."""

    view: Routed
    deployment_id: str
    """The one that it came from, once."""
    provider: str


class Preferred(tuple[Deployment, ...]):
    """What a check returns when order matters: a later deployment serves only if no earlier one is usable."""

    __slots__ = ()


class Leaning(tuple[Deployment, ...]):
    """What a check returns when it would rather have these, but all others may serve too if these are busy."""

    __slots__ = ()


_ONE_OWNER: Mapping[str, str] = MappingProxyType({})


class Home(tuple[Deployment, ...]):
    """The deployments that hold what the call refers to: it is balanced over them, and never leaves them."""

    affinity: Affinity | None
    """How they were found."""
    policy: HomePolicy
    """What follows if none of them can serve."""
    owners: Mapping[str, str]
    """Where several places hold it: which owner each shares its state with, by ids."""

    def __new__(
        cls,
        deployments: Iterable[Deployment],
        affinity: Affinity | None = None,
        policy: HomePolicy = HomePolicy(),  # noqa: B008 - frozen
        owners: Mapping[str, str] = _ONE_OWNER,
    ) -> Self:
        home = super().__new__(cls, deployments)
        home.affinity = affinity
        home.policy = policy
        home.owners = owners
        return home

    def served_by(self, deployment_id: str) -> Affinity | None:
        """How the home was found, now that it is known which of these serves."""
        found = self.affinity
        if found is None or found.mode != "home":
            return found
        owner = self.owners.get(deployment_id, found.home)
        if deployment_id == owner == found.home:
            return found
        return replace(found, mode="home" if deployment_id == owner else "domain", home=owner)


class PreCallCheck(ABC):  # noqa: B024 - every method has a default: a check overrides those it needs
    """Who may serve a call. Override what you need; what you don't override costs nothing.

    An instance serves the one Router that it is given to. Where the call has a deadline, `answer`, `eligible` and
    `rescue` are cancelled when it passes.
    """

    def accept(self, deployments: Sequence[Deployment]) -> None:  # noqa: B027 - a default, not a duty
        """The Router's deployments are to be these from now on. Called at its start and before each change.

        Raise `ConfigurationError` to refuse the change. May not await or block.
        """

    async def answer(self, call: Call) -> Answer | None:
        """The answer to `call`, if no deployment need be asked; default: None. Called first, once per call.

        May raise what the call is to end with.
        """
        return None

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """Those of `deployments` that may serve `call`; the strategy chooses among them.

        Called before each attempt. Return `deployments` itself to leave the choice open, a `Preferred` to bind the
        strategy to an order. An empty result, or an `APIError` raised here, ends the attempt: the error's type
        decides what follows, as if upstream had sent it.
        """
        return deployments

    async def preview(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """What `eligible` would say of a call that isn't made, for `Router.explain`; default: ask it."""
        return await self.eligible(call, deployments)

    def prepare(self, call: Call, deployment: Deployment) -> Call:
        """`call` as it should be sent to `deployment`; default: as it is."""
        return call

    def present(self, call: Call, deployment: Deployment, json: JsonObject) -> JsonObject:
        """`json`, a reply's or an event's, as the caller shall see it; default: as it arrived. Change a copy."""
        return json

    async def rescue(self, call: Call, error: APIError) -> Call | None:
        """A call that does without the home of `call`, which ended there with `error`; None: let it end so.

        Asked when nothing more can be tried at home. May raise what the call is to end with instead.
        """
        return None

    def reserve(self, call: Call, deployment: Deployment, now: float) -> float:
        """Claim room on `deployment`, in the step that picks it; seconds to wait if there is none, else 0.

        Called under the pool's lock: it may not await or block. What is claimed is settled in `observe`.
        """
        return 0.0

    def release(self, call: Call, deployment: Deployment) -> None:  # noqa: B027 - a default, not a duty
        """Give back what `reserve` claimed for a call that was never sent."""

    async def observe(self, call: Call, deployment: Deployment, outcome: Outcome) -> None:  # noqa: B027
        """Learn from an attempt. An exception raised here is logged, never the caller's."""

    async def aclose(self) -> None:  # noqa: B027
        """Free what the check holds. Called when its Router closes."""


class AffinityStore(Protocol):
    """Remembers which deployment holds a response. Implemented in memory and in Redis."""

    async def get(self, key: str) -> str | None:
        """The value of `key`, whose time to live starts anew; None if there is none. Never raises for an outage."""
        ...

    async def set(self, key: str, value: str, *, ttl: float) -> None:
        """Remember `value` for `ttl` seconds. Never raises for an outage."""
        ...

    async def delete(self, key: str) -> None:
        """Forget `key`. Never raises for an outage."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@runtime_checkable
class Remote(Protocol):
    """A store that can be away, which one of the user's own need not say."""

    @property
    def down(self) -> bool:
        """Whether it can't be read now: what it does not find may be there all the same."""
        ...


@runtime_checkable
class ManyStore(AffinityStore, Protocol):
    """An `AffinityStore` that can do several at a time, which a store of the user's own need not."""

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The values of those `keys` that have one, in one round trip; their times to live start anew.

        Never raises for an outage.
        """
        ...

    async def set_many(self, values: Mapping[str, str], *, ttl: float) -> None:
        """Remember each of `values`, by key, for `ttl` seconds; here at once, in a place that others share soon after.

        Nobody waits for it: for what `set` has to have told everyone before the caller goes on, use `set`. Never
        raises for an outage.
        """
        ...
