"""From what is asked about a key to what it grants, and from that to what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from checks.budgets.period import parse_period
from providers.errors import BadRequestError, ConfigurationError
from providers.types import Json, JsonObject
from router.config.keys import NO_BUDGET, NewKey, digest
from router.config.problems import Problems
from router.config.strict import check, read_fields
from router.proxy.holder import Grant
from router.proxy.keys.shown import new_id, new_key

LARGEST: Final = 64 * 1024
"""Bytes that are kept of a key: with its models and metadata."""
_TOLD: Final = (
    *("key_alias", "max_budget", "budget_duration", "rpm_limit", "tpm_limit", "max_parallel_requests"),
    *("blocked", "tenant", "team_id", "user_id"),
)


def made(body: Mapping[str, Json], now: float) -> tuple[Grant, str]:
    """What a new key grants, and the key itself. Raises `BadRequestError`."""
    terms, key = _terms(body), new_key()
    given = terms.pop("key", None)
    key = given if isinstance(given, str) else key
    grant = Grant(id=new_id(), digest=digest(key), created=now, **_granted(terms, now))  # type: ignore[arg-type]  # checked
    return _kept(grant), key


def changed(grant: Grant, body: Mapping[str, Json], now: float) -> Grant:
    """`grant` with what `body` says otherwise. Raises `BadRequestError`."""
    terms = _terms(body)
    if "key" in terms:
        raise BadRequestError("key: is made anew, and told in the answer", param="key", code="invalid_argument")
    return _kept(msgspec.structs.replace(grant, **_granted(terms, now)))


def rotated(grant: Grant) -> tuple[Grant, str]:
    """The same grant for another key, and that key."""
    key = new_key()
    return msgspec.structs.replace(grant, digest=digest(key)), key


def told(grant: Grant, spend: float | None) -> JsonObject:
    """What is told of a key to whoever has the master key: LiteLLM's names. Nothing of it is secret."""
    found: JsonObject = {name: getattr(grant, name) for name in _TOLD}
    return {
        "token": grant.id,
        **found,
        "models": [*grant.models],
        "expires": _date(grant.expires),
        "created_at": _date(grant.created),
        "metadata": msgspec.to_builtins(grant.metadata),
        "spend": spend,
        "source": "configuration" if grant.created is None else "redis",
    }


def _terms(body: Mapping[str, Json]) -> dict[str, object]:
    """What is said of a key, as checked. Raises `BadRequestError` for each thing that is wrong, together."""
    problems = Problems()
    fields = read_fields(NewKey, body, "", problems)
    terms = check(NewKey, fields, problems)
    try:
        problems.raise_any()
    except ConfigurationError as error:
        said = str(error).replace(" problems in the configuration:", " things are wrong with the key:")
        param = said.partition(":")[0] if "\n" not in said else None
        raise BadRequestError(said, param=param, code="invalid_argument") from None
    assert terms is not None, "nothing is wrong with it"
    found: dict[str, object] = {name: getattr(terms, name) for name in fields.values}
    if terms.key is not None:
        found["key"] = terms.key.get_secret_value()
    return found


def _granted(terms: dict[str, object], now: float) -> dict[str, object]:
    """Terms by the names of a grant's fields."""
    found = dict(terms)
    if "models" in found:
        found["models"] = tuple(found["models"])  # type: ignore[arg-type]  # it is a list
    duration = found.pop("duration", None)
    if isinstance(duration, str):
        found["expires"] = now + parse_period(duration).seconds
    return found


def _kept(grant: Grant) -> Grant:
    """`grant`, if it can be kept. Raises `BadRequestError`."""
    if grant.budget_duration is not None and grant.max_budget is None:
        raise BadRequestError(NO_BUDGET, param="budget_duration", code="invalid_argument")
    try:
        size = len(msgspec.json.encode(grant))
    except UnicodeEncodeError:
        raise BadRequestError("models and metadata must be valid Unicode", code="invalid_argument") from None
    if size > LARGEST:
        said = f"models and metadata take {size:,} bytes; at most {LARGEST:,} are kept of a key"
        raise BadRequestError(said, code="invalid_argument")
    return grant


def _date(time: float | None) -> str | None:
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
