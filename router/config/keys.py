"""Virtual keys: what may be said of one, in a file or when it is made."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic.json_schema import WithJsonSchema

from router.config.budgets import Duration
from router.config.strict import Amount, JsonMapping, Name, PositiveCount, Strict
from router.config.values import Printable

SHORTEST = 16
"""Characters of a key: shorter ones can be guessed."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NO_TEAMS = "limits are those of each key; give keys of one team the same team_id, which shares responses alone"
_NO_ROLES = "a virtual key may call models and nothing else"
_PER_MODEL = "limits are for all models of a key; give it several keys"
_BUDGETS = "use max_budget and budget_duration"


def _all(names: Iterable[str], text: str) -> dict[str, str]:
    return dict.fromkeys(names, text)


def _when(value: object) -> object:
    """A date, or a number of Unix time; as Unix time."""
    if isinstance(value, str):
        try:
            date = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date, such as '2027-01-31' or '2027-01-31T12:00:00+00:00'") from None
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    return value


def _long_enough(key: SecretStr) -> SecretStr:
    value = key.get_secret_value()
    if len(value) < SHORTEST:
        raise ValueError(f"must have at least {SHORTEST} characters; 'homing keys hash --new' makes one")
    if value != value.strip() or not value.isascii() or not value.isprintable():
        raise ValueError("must be printable ASCII, without blanks around it: it goes into a header")
    return key


def _hash(text: str) -> str:
    if not _DIGEST.fullmatch(text.lower()):
        raise ValueError("must be the SHA-256 of the key, 64 hexadecimal digits; 'homing keys hash' tells it")
    return text.lower()


def _known_models(models: list[str]) -> list[str]:
    """LiteLLM has names for sets of models: that of all is understood, and no other is taken for a model's."""
    for name in ("all-team-models", "no-default-models"):
        if name in models:
            raise ValueError(f"{name!r} names nothing here; list the models")
    return ["*" if name == "all-proxy-models" else name for name in models]


NO_BUDGET = "budget_duration: says for how long max_budget is; give both"
Label = Annotated[Printable, Field(max_length=200)]
Secret = Annotated[SecretStr, AfterValidator(_long_enough)]


class KeyTerms(Strict):
    """What a virtual key is good for. Names are LiteLLM's."""

    refused: ClassVar[Mapping[str, str]] = {
        **_all(("permissions", "allowed_routes", "key_type", "user_role", "access_group_ids"), _NO_ROLES),
        **_all(("model_max_budget", "model_rpm_limit", "model_tpm_limit", "model_rpm_limit_type"), _PER_MODEL),
        **_all(("rpm_limit_type", "tpm_limit_type"), "limits hold whatever others use"),
        **_all(("soft_budget", "budget_id", "spend", "temp_budget_increase", "temp_budget_expiry"), _BUDGETS),
        **_all(("team", "organization_id", "project_id"), _NO_TEAMS),
        **_all(("aliases",), "write model_group_alias in router_settings"),
        **_all(("guardrails", "policies", "prompts", "object_permission"), "there are none here"),
        **_all(("cache", "cache_params", "allowed_cache_controls"), "responses are not cached"),
        **_all(("allowed_passthrough_routes", "allowed_vector_store_indexes"), "only models can be called"),
        **_all(("auto_rotate", "rotation_interval"), "rotate keys by 'homing keys rotate'"),
        **_all(("alias", "name", "key_name"), "it is called key_alias"),
        **_all(("rpm", "requests_per_minute"), "it is called rpm_limit"),
        **_all(("tpm", "tokens_per_minute"), "it is called tpm_limit"),
        **_all(("parallel", "max_parallel"), "it is called max_parallel_requests"),
        "tags": "give tags with the call; the key's alias is in its record",
        "enforced_params": "write a pre-call check",
        "config": "keys have no settings of their own",
        "send_invite_email": "nothing is sent; the answer holds the key",
        "router_settings": "keys have no settings of their own",
    }

    key_alias: Label | None = None
    """What people know the key by; in records and metrics too. No two keys have the same."""
    models: Annotated[list[Name], AfterValidator(_known_models)] = Field(default_factory=list)
    """Names that may be asked for, of groups or aliases; `*` stands for any part of one. Empty: all."""
    max_budget: Amount | None = None
    """US dollars that may be spent in `budget_duration`."""
    budget_duration: Duration | None = None
    """For how long the budget is: `1h`, `1d`, `1mo`; unset: for ever."""
    rpm_limit: PositiveCount | None = None
    """Requests in any minute."""
    tpm_limit: PositiveCount | None = None
    """Tokens in any minute."""
    max_parallel_requests: PositiveCount | None = None
    """Requests in flight at a time."""
    blocked: bool = False
    """Whether it is refused for now."""
    tenant: Label | None = None
    """Whose responses its are: keys with the same tenant share them. Unset: its team's, or its own."""
    team_id: Label | None = None
    """As `tenant`, by LiteLLM's name."""
    user_id: Label | None = None
    """Who has it; told in the metadata of records."""
    metadata: JsonMapping = Field(default_factory=dict)
    """Whatever else is to be kept of it."""


class ConfiguredKey(KeyTerms):
    """A virtual key in `general_settings.keys`."""

    refused: ClassVar[Mapping[str, str]] = {
        **KeyTerms.refused,
        "duration": "write expires, a date: the file is read again, and nobody knows when it was written",
        "token": "write key_hash",
        "hash": "write key_hash",
        "api_key": "write key",
    }

    key: Secret | None = None
    """The key, as `os.environ/NAME`."""
    key_hash: Annotated[str, AfterValidator(_hash)] | None = None
    """Instead of it, its SHA-256: 64 hexadecimal digits."""
    expires: Annotated[
        float | None,
        BeforeValidator(_when),
        WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}]}),
    ] = None
    """From when on it is good for nothing: a date."""

    @model_validator(mode="after")
    def _known_by_something(self) -> ConfiguredKey:
        if self.key_alias is None:
            raise ValueError("key_alias: is required, so that it can be told which key is which")
        if (self.key is None) == (self.key_hash is None):
            raise ValueError("key: give it as os.environ/NAME, or its key_hash, and not both")
        if self.budget_duration is not None and self.max_budget is None:
            raise ValueError(NO_BUDGET)
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the key."""
        return self.key_hash or (digest(self.key.get_secret_value()) if self.key is not None else "")


class NewKey(KeyTerms):
    """A virtual key that is to be made."""

    refused: ClassVar[Mapping[str, str]] = {
        **KeyTerms.refused,
        "expires": "write duration: for how long it shall last",
        "key_hash": "a key that is made here is shown to whoever asks for it",
    }

    key: Secret | None = None
    """The key itself; unset, as is best: one that nobody can guess is made."""
    duration: Duration | None = None
    """For how long it is good: `30d`; unset: until it is revoked."""


def digest(key: str) -> str:
    """What a key is kept and looked up as: SHA-256, in hexadecimal digits.

    No salt, and no slow hash: keys are random, too long to be guessed from it. Nor does the time that a look-up takes
    tell anything of use: whoever sends keys can't choose the digests that they are compared by.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _all_different(keys: list[ConfiguredKey]) -> list[ConfiguredKey]:
    aliases: set[str | None] = set()
    digests: dict[str, str | None] = {}
    for each in keys:
        if each.key_alias in aliases:
            raise ValueError(f"two have the key_alias {each.key_alias!r}")
        aliases.add(each.key_alias)
        other = digests.setdefault(each.digest, each.key_alias)
        if other != each.key_alias:
            raise ValueError(f"{other!r} and {each.key_alias!r} have the same key")
    return keys


ConfiguredKeys = Annotated[list[ConfiguredKey], AfterValidator(_all_different)]
