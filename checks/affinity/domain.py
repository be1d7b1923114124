"""State domains: which deployments hold each other's responses, items, files and conversations.

The configured `account` says it. Without one it is derived, and rather too narrow than too wide: a follow-up that stays
home for no reason can only be slow, one that is sent where its conversation isn't fails.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from types import MethodType
from typing import cast
from urllib.parse import SplitResult, urlsplit

from providers.catalog import VENDORS, provider_of
from providers.openai import OpenAI
from providers.types import Deployment

_PORTS = {"http": 80, "https": 443}
_AZURE = (".azure.com", ".azure.us", ".azure.cn")
"""Ends of the hosts that Azure names after a resource, in its public and sovereign clouds."""
_SHARED = (".api.cognitive.microsoft.com",)
"""Ends of the hosts that many of Azure's resources share, told apart by their keys."""
_TAILS = ("/openai/v1/responses", "/openai/responses", "/responses")


@dataclass(frozen=True, slots=True)
class Domain:
    """One place that keeps state. Equal domains are the same place.

    Credentials have a part in the comparison, so a domain is for the memory of one process: it isn't written anywhere.
    """

    _parts: tuple[Hashable, ...] = field(repr=False)


def domain(deployment: Deployment) -> Hashable:
    """Where `deployment` keeps its state, computed once.

    - `account`, if it has one: such deployments share with all of that account, and with no others.
    - Azure: the resource, known by its host whichever key or API version is used, and the project or the gateway's
      path, if the address has one. At regional hosts, which resources share, the rule for all others.
    - All others: the same address, `organization`, `project`, credential and extra headers and query parameters. A
      credential is an API key's value, or the very source of tokens.

    As the state of a conversation is remembered by the deployment's id, rotating a key loses nothing: the domain is
    computed anew. While only some deployments of one domain have the new key, those with the old one are another.
    """
    known = deployment.memo.get("domain")
    if known is None:
        known = deployment.memo["domain"] = Domain(_parts(deployment))
    return cast("Domain", known)


def place_name(deployment: Deployment) -> str | None:
    """A name of where `deployment` keeps its state, without secrets and the same in every process.

    None where only a credential tells one place from another.
    """
    parts = _parts(deployment)
    return None if parts[0] == "other" else "\n".join(map(str, parts))


def same_domain(one: Deployment, other: Deployment) -> bool:
    """Whether two deployments hold each other's state; two with the same id do, before and after a change."""
    return one is other or one.id == other.id or domain(one) == domain(other)


def peers(owner: Deployment, deployments: Iterable[Deployment]) -> tuple[Deployment, ...]:
    """Those of `deployments` that hold what `owner` holds, itself included, in their order."""
    return tuple(each for each in deployments if same_domain(owner, each))


def _parts(deployment: Deployment) -> tuple[Hashable, ...]:
    if deployment.account is not None:
        return "account", deployment.account
    url, query = _address(deployment)
    place = urlsplit(url)
    if _is_azure(deployment.provider, place.hostname or ""):
        return "azure", *_location(place)
    return (
        "other",
        place.scheme,
        *_location(place),
        query,
        deployment.organization,
        deployment.project,
        _credential(deployment),
        frozenset((name.lower(), str(value)) for name, value in deployment.headers.items()),
        frozenset((name, str(value)) for name, value in deployment.query.items()),
    )


def _address(deployment: Deployment) -> tuple[str, str]:
    """Where its responses are, and the query string of every request, by the provider's own rules if they are known."""
    provider = provider_of(deployment) if deployment.provider in VENDORS else None
    if isinstance(provider, OpenAI):
        return provider.address(deployment)
    url, _, query = (deployment.api_base or "").partition("?")
    return url, query


def _is_azure(provider: str, host: str) -> bool:
    if not host or host.endswith(_SHARED):
        return False
    return provider == "azure" or (provider == "azure_ai" and host.endswith(_AZURE))


def _location(place: SplitResult) -> tuple[Hashable, ...]:
    """Host, port and the path before the API's own."""
    path = place.path.rstrip("/")
    for tail in _TAILS:
        if path.endswith(tail):
            path = path.removesuffix(tail)
            break
    return place.hostname, place.port or _PORTS.get(place.scheme), path


def _credential(deployment: Deployment) -> Hashable:
    """What its requests are authorised by: compared by value (keys) or identity (sources of tokens)."""
    if deployment.token_source is not None:
        return _Source(deployment.token_source)
    return deployment.api_key


class _Source:
    """A source of tokens, which need not be hashable: equal to itself."""

    __slots__ = ("_source",)

    def __init__(self, source: object) -> None:
        # a method is made anew each time it is asked for: what it is bound to counts
        self._source = (source.__self__, source.__func__) if isinstance(source, MethodType) else (source, None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Source):
            return NotImplemented
        return all(mine is theirs for mine, theirs in zip(self._source, other._source, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(map(id, self._source)))
