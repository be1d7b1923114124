"""Which vendor an entry means, and what the environment says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import SecretStr

from providers.catalog import VENDORS, Vendor
from providers.types import TokenSource
from router.config.entry import Params
from router.config.problems import Problems
from router.config.strict import Fields
from router.config.values import address, secret
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


@dataclass(frozen=True, slots=True)
class Lookup:
    """Finds the site that an entry means, completing what it says with the vendor's environment variables."""

    params: Params
    fields: Fields
    environ: Mapping[str, str]
    problems: Problems

    def site(self) -> Site | None:
        """The site, noting what is missing; None, with the problem noted, if the vendor is not known."""
        found = self._vendor()
        if found is None:
            return None
        vendor, model = found
        base = self._base(vendor)
        key, tokens = self._credential(vendor)
        if key is None and tokens is None and self._needs_key(vendor, base):
            names = (*vendor.key_env, *_TOKEN_ENV.get(vendor.name, ()))
            self._require(
                "api_key", Params.CREDENTIALS, f"{vendor.name} takes no call without a key ({_looked_at(names)})"
            )
        version = self.params.responses_api_version or self.params.api_version
        return Site(vendor, model, base, version or self._variable(vendor.version_env)[1], key, tokens)

    def _vendor(self) -> tuple[Vendor, str] | None:
        given = self.params.custom_llm_provider
        model = self.params.model
        prefix, slash, rest = model.partition("/")
        name = given or (prefix if slash else "openai")
        vendor = VENDORS.get(name)
        if vendor is None:
            said = f"unknown provider {name[:80]!r}{did_you_mean(name, VENDORS)}"
            spot = self.fields.place("custom_llm_provider" if given else "model")
            self.problems.add(spot, f"{said} (supported: {', '.join(VENDORS)}; {_HINT})")
            return None
        model = (rest if slash and prefix == name else model).removeprefix(_BRIDGE)
        if not model:
            self.problems.add(self.fields.place("model"), f"names no model; write '{vendor.name}/<model>'")
            return None
        return vendor, model

    def _base(self, vendor: Vendor) -> str | None:
        if self.params.api_base is not None:
            return self.params.api_base
        name, value = self._variable(vendor.base_env)
        if value is not None:
            try:
                return address(value)
            except ValueError as error:
                self.problems.add(self.fields.place("api_base"), f"the environment variable {name!r} {error}")
        elif vendor.base_required:
            why = f"{vendor.name} has no address of its own ({_looked_at(vendor.base_env)})"
            self._require("api_base", ("api_base", "base_url"), why)
        return None

    def _credential(self, vendor: Vendor) -> tuple[SecretStr | None, TokenSource | None]:
        """The key or the source of tokens, of which there is at most one."""
        params = self.params
        if params.azure_ad_token_provider is not None:
            return None, cast("TokenSource", params.azure_ad_token_provider)
        if params.azure_ad_token is not None:
            return None, StaticToken(params.azure_ad_token)
        if params.api_key is not None:
            return params.api_key, None
        tokens = _TOKEN_ENV.get(vendor.name, ())
        name, value = self._variable((*vendor.key_env, *tokens))
        if value is None:
            return None, None
        try:
            found = secret(SecretStr(value))
        except ValueError as error:
            self.problems.add(self.fields.place("api_key"), f"the environment variable {name!r} {error}")
            return None, None
        return (None, StaticToken(found)) if name in tokens else (found, None)

    def _needs_key(self, vendor: Vendor, base: str | None) -> bool:
        """A server of the user's own may do without, and a header may do as well."""
        if any(name.lower() in _AUTHORITY for name in self.params.extra_headers or ()):
            return False
        return vendor.key_required and (base is None or vendor.base_required)

    def _require(self, name: str, written: tuple[str, ...], why: str) -> None:
        if not self.fields.excused(written, self.problems):
            self.problems.add(self.fields.place(name), f"is required: {why}")

    def _variable(self, names: tuple[str, ...]) -> tuple[str, str | None]:
        """The first environment variable that is set, and its value."""
        return next(((name, self.environ[name]) for name in names if self.environ.get(name)), ("", None))


def _looked_at(names: tuple[str, ...]) -> str:
    return f"environment variables looked at: {', '.join(names)}"
