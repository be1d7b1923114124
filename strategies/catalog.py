"""Strategies by name: from what a configuration says to the thing that picks."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from providers.errors import ConfigurationError
from strategies.adaptive import Adaptive
from strategies.arguments import guess, parse
from strategies.base import Strategy
from strategies.latency import Latency
from strategies.least_busy import LeastBusy
from strategies.shuffle import SimpleShuffle
from strategies.weighted import Weighted

Spec: TypeAlias = "str | Strategy | type[object]"
"""How a configuration names a strategy: by its name, as a class, or as an instance."""

_Builtin: TypeAlias = "type[Adaptive | Weighted | SimpleShuffle | LeastBusy | Latency]"

STRATEGIES: Mapping[str, _Builtin] = {
    "adaptive": Adaptive,
    "round-robin": Weighted,
    "weighted": Weighted,
    "simple-shuffle": SimpleShuffle,
    "least-busy": LeastBusy,
    "latency": Latency,
}
"""The built-in strategies by name. `round-robin` and `weighted` are one: both honour weights, unset counts as 1."""

_ALIASES = {"latency-based-routing": "latency"}

_USAGE = "use 'adaptive' with rpm and tpm on the deployments and the pre-call check 'rate_limit'"
_REFUSED = {
    "usage-based-routing": _USAGE,
    "usage-based-routing-v2": _USAGE,
    "cost-based-routing": "use 'adaptive', and `order` on the deployments: the cheaper ones first",
    "provider-budget-routing": "use 'adaptive', and `weight` or `order` on the deployments",
}
_LITELLM_LATENCY = {
    "ttl": "not needed: what was learnt of a deployment fades within a minute of not using it; leave it out",
    "lowest_latency_buffer": "not needed: calls in flight count, so the fastest is never flooded; leave it out",
    "max_latency_list_size": "not needed: latency is a moving average, not a list; leave it out",
}


def factory(
    spec: Spec, args: Mapping[str, object] | None, rng: random.Random, *, place: str = "routing_strategy"
) -> Callable[[], Strategy]:
    """A maker of strategies, one for each group, from a name, a class or an instance.

    An instance is shared by the groups that it is given to. `args` are checked here, not when a group is made; a name
    or an argument that is not known raises a `ConfigurationError` that names `place` and what was probably meant.
    """
    args = dict(args or {})
    if isinstance(spec, str):
        return _by_name(spec, args, rng, place)
    if isinstance(spec, type):
        return _by_class(spec, args, rng, place)
    if not callable(getattr(spec, "pick", None)):
        raise ConfigurationError(f"{place}: a name, or an object with a method `pick`, is needed, not {spec!r}")
    if args:
        raise ConfigurationError(f"{place}_args: an instance takes no arguments; give them to its constructor")
    return lambda: spec


def build(
    spec: Spec, args: Mapping[str, object] | None, rng: random.Random, *, place: str = "routing_strategy"
) -> Strategy:
    """One strategy, as `factory` makes them."""
    return factory(spec, args, rng, place=place)()


def _by_name(spec: str, args: Mapping[str, object], rng: random.Random, place: str) -> Callable[[], Strategy]:
    name = spec.strip().lower().replace("_", "-")
    name = _ALIASES.get(name, name)
    if name in _REFUSED:
        raise ConfigurationError(f"{place}: {spec!r} does not exist here; {_REFUSED[name]}")
    if name not in STRATEGIES:
        raise ConfigurationError(f"{place}: unknown strategy {spec!r}; {guess(name, STRATEGIES)}")
    cls = STRATEGIES[name]
    known = getattr(cls, "ARGUMENTS", {})
    elsewhere = _LITELLM_LATENCY if cls is Latency else {}
    parsed = parse(name, args, known, elsewhere=elsewhere, place=f"{place}_args")
    return lambda: cls(**parsed, rng=rng)


def _by_class(cls: type[object], args: Mapping[str, object], rng: random.Random, place: str) -> Callable[[], Strategy]:
    if not callable(getattr(cls, "pick", None)):
        raise ConfigurationError(f"{place}: the class {cls.__name__} has no method `pick`")
    signature = inspect.signature(cls)
    given = {"rng": rng, **args} if "rng" in signature.parameters else dict(args)
    try:
        signature.bind(**given)
    except TypeError as error:
        takes = [name for name in signature.parameters if name != "rng"]
        unknown = next((name for name in args if name not in takes), "")
        raise ConfigurationError(f"{place}_args: {cls.__name__}: {error}; {guess(unknown, takes)}") from error
    return lambda: cast("Strategy", cls(**given))
