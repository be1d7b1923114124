"""Which vendor an entry means, and what the environment says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import SecretStr

from providers.catalog import VENDORS, Vendor
from providers.types import TokenSource
from router.config.entry import Params, address
from router.config.problems import Problems
from router.config.strict import Fields
from router.hints import did_you_mean

_HINT = "for an OpenAI-compatible server write 'openai/<model>' with api_base, or 'hosted_vllm/<model>'"
_BRIDGE = "responses/"
"""LiteLLM's mark for what is our only way: `openai/responses/gpt-5`."""

_AUTHORITY = frozenset({"authorization", "api-key", "x-api-key"})
"""Headers that say who calls."""

_TOKEN_ENV: Mapping[str, tuple[str, ...]] = {"azure": ("AZURE_AD_TOKEN", "AZURE_OPENAI_AD_TOKEN")}
"""Environment variables that may hold a bearer token, for want of a key."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a model is and how to get in."""

    vendor: Vendor
    model: str
    api_base: str | None
    api_version: str | None
    api_key: SecretStr | None
    token_source: TokenSource | None


class StaticToken:
    """A bearer token that does not change."""

    __slots__ = ("_token",)

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def __call__(self) -> str:
        return self._token.get_secret_value()


def _unknown(name: str) -> str:
    return f"unknown provider {name[:80]!r}{did_you_mean(name, VENDORS)} (supported: {', '.join(VENDORS)}; {_HINT})"


def find_vendor(params: Params, fields: Fields, problems: Problems) -> tuple[Vendor, str] | None:
    """The vendor of an entry and the model's name there; None, with the problem noted, if it is not known."""
    named = params.custom_llm_provider
    prefix, slash, rest = params.model.partition("/")
    if named is not None:
        model = rest if slash and prefix == named else params.model
    elif slash:
        named, model = prefix, rest
    else:
        named, model = "openai", params.model
    vendor = VENDORS.get(named)
    if vendor is None:
        where = "model" if params.custom_llm_provider is None else "custom_llm_provider"
        problems.add(fields.places[where], _unknown(named))
        return None
    model = model.removeprefix(_BRIDGE)
    if not model:
        problems.add(fields.places["model"], f"names no model; write '{vendor.name}/<model>'")
        return None
    return vendor, model


def _first(names: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    return next((name for name in names if environ.get(name)), None)


def _base(params: Params, vendor: Vendor, spot: str, environ: Mapping[str, str], problems: Problems) -> str | None:
    if params.api_base is not None:
        return params.api_base
    name = _first(vendor.base_env, environ)
    if name is not None:
        try:
            return address(environ[name])
        except ValueError as error:
            problems.add(spot, f"the environment variable {name!r} {error}")
    elif vendor.base_required and not problems.known_at(spot):
        problems.add(spot, f"is required: {vendor.name} has no address of its own ({_unset(vendor.base_env)})")
    return None


def _credential(
    params: Params, vendor: Vendor, environ: Mapping[str, str]
) -> tuple[SecretStr | None, TokenSource | None]:
    if params.azure_ad_token_provider is not None:
        return None, cast("TokenSource", params.azure_ad_token_provider)
    if params.azure_ad_token is not None:
        return None, StaticToken(params.azure_ad_token)
    if params.api_key is not None:
        return params.api_key, None
    name = _first(vendor.key_env, environ)
    if name is not None:
        return SecretStr(environ[name]), None
    name = _first(_TOKEN_ENV.get(vendor.name, ()), environ)
    return None, StaticToken(SecretStr(environ[name])) if name else None


def _needs_key(params: Params, vendor: Vendor, base: str | None) -> bool:
    """A server of the user's own may do without, and a header may do as well."""
    if any(name.lower() in _AUTHORITY for name in params.extra_headers or ()):
        return False
    return vendor.key_required and (base is None or vendor.base_required)


def _unset(names: tuple[str, ...]) -> str:
    return f"environment variables looked at: {', '.join(names)}"


def locate(params: Params, fields: Fields, place: str, environ: Mapping[str, str], problems: Problems) -> Site | None:
    """Complete what an entry says with the vendor's environment variables; notes what is still missing.

    `place` is where missing parameters should be written.
    """
    found = find_vendor(params, fields, problems)
    if found is None:
        return None
    vendor, model = found
    base = _base(params, vendor, fields.places.get("api_base", f"{place}.api_base"), environ, problems)
    key, tokens = _credential(params, vendor, environ)
    spot = fields.places.get("api_key", f"{place}.api_key")
    if key is None and tokens is None and _needs_key(params, vendor, base) and not problems.known_at(spot):
        names = (*vendor.key_env, *_TOKEN_ENV.get(vendor.name, ()))
        problems.add(spot, f"is required: {vendor.name} takes no call without a key ({_unset(names)})")
    named = _first(vendor.version_env, environ)
    version = params.responses_api_version or params.api_version or (environ[named] if named else None)
    return Site(vendor, model, base, version, key, tokens)
