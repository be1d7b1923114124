"""Who calls: the holder of a key, and what the key grants."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

MARK: Final = "user_api_key"
"""How names in the metadata of a call begin that say whose key it came with; LiteLLM's loggers look for them."""
_LONGEST_MODEL: Final = 500
"""Characters; longer names are no model's, and would take long to be held against a pattern."""


class Limits(NamedTuple):
    """What a key may use of the proxy at most; None: as much as there is."""

    requests: int | None = None
    """In any minute."""
    tokens: int | None = None
    """In any minute."""
    parallel: int | None = None
    """At a time."""


class Grant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A virtual key without the key itself: who has it, what it is good for."""

    id: str
    """Its own, whatever it is called, and however often its key is rotated. No secret."""
    digest: str
    """SHA-256 of the key, in hexadecimal digits."""
    key_alias: str | None = None
    models: tuple[str, ...] = ()
    """Names that may be asked for, or of the groups they lead to, `*` for any part of one; none: all."""
    max_budget: float | None = None
    """US dollars."""
    budget_duration: str | None = None
    """How long that is for: `1d`; None: for ever."""
    rpm_limit: int | None = None
    tpm_limit: int | None = None
    max_parallel_requests: int | None = None
    expires: float | None = None
    """Unix time from which on it is good for nothing."""
    blocked: bool = False
    tenant: str | None = None
    """Whose responses its are; None: its team's, or its own."""
    team_id: str | None = None
    user_id: str | None = None
    metadata: dict[str, object] = {}
    created: float | None = None
    """Unix time; None for one of the configuration."""

    def __repr__(self) -> str:
        return f"<Grant {self.name!r}>"

    @property
    def name(self) -> str:
        """What people know it by: its alias, or its id."""
        return self.key_alias or self.id

    @property
    def scope(self) -> str:
        """The tenant that its responses belong to."""
        return self.tenant or (f"team:{self.team_id}" if self.team_id else self.id)

    @property
    def limits(self) -> Limits:
        """What it may use."""
        return Limits(self.rpm_limit, self.tpm_limit, self.max_parallel_requests)


class Holder:
    """Whoever has shown a key, for as long as what they ask takes. Immutable."""

    __slots__ = ("alias", "grant", "marks", "scope")

    def __init__(self, grant: Grant | None = None) -> None:
        """`grant`: what the key is good for; None: everything, as the master key is."""
        self.grant = grant
        self.alias = None if grant is None else grant.name
        """What records and metrics know the key by."""
        self.scope = None if grant is None else grant.scope
        """The `affinity_scope` of what is called for: responses of others don't exist for it."""
        self.marks: Mapping[str, object] = {} if grant is None else _marks(grant)
        """What the metadata of its calls say of the key."""

    @property
    def is_master(self) -> bool:
        """Whether everything is allowed."""
        return self.grant is None

    def may_use(self, *names: str) -> bool:
        """Whether a model may be called that goes by `names`: as it was asked for, and the group that leads to."""
        return self.grant is None or not self.grant.models or _any(self.grant.models, names)


MASTER: Final = Holder()
"""May do everything."""


def _marks(grant: Grant) -> dict[str, object]:
    found = {
        f"{MARK}_hash": grant.id,
        f"{MARK}_alias": grant.name,
        f"{MARK}_team_id": grant.team_id,
        f"{MARK}_user_id": grant.user_id,
    }
    return {name: value for name, value in found.items() if value is not None}


def _any(patterns: Iterable[str], names: Iterable[str]) -> bool:
    names = [name for name in names if len(name) <= _LONGEST_MODEL]
    return any(_pattern(each).fullmatch(name) is not None for each in patterns for name in names)


@lru_cache(1_000)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in re.sub(r"\*+", "*", text).split("*")), re.DOTALL)
