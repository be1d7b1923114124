"""Which vendor an entry means, what its model's name says, and what the environment says about it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from providers.aws.address import find_region
from providers.catalog import ALIASES, VENDORS, Login, Vendor
from providers.errors import ConfigurationError
from providers.models import AWS_REGION, GOOGLE_LOCATION, Meaning, resolve
from providers.types import Dialect, TokenSource
from router.config.credentials import Credentials
from router.config.entry import Params
from router.config.environment import first_set, looked_at
from router.config.problems import Problems
from router.config.signin import SignIn, Sources
from router.config.strict import Fields
from router.config.values import address
from router.hints import did_you_mean

_HINT = "for an OpenAI-compatible server write 'openai_compatible/<model>', or 'openai/<model>' if it has /responses"

_LOCATION_ENV = ("VERTEXAI_LOCATION", "VERTEX_LOCATION")
_PROJECT_ENV = ("VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT")
_REGIONS: Mapping[Login, tuple[str, re.Pattern[str], str]] = {
    Login.AWS: ("aws_region_name", AWS_REGION, "AWS; write it as 'us-east-1'"),
    Login.GOOGLE: ("vertex_location", GOOGLE_LOCATION, "Google's; write it as 'us-central1', 'eu' or 'global'"),
}
"""Where regions are part of the address: the parameter, the form of the name, whose they are."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a model is and how to get in."""

    vendor: Vendor
    model: str
    dialect: Dialect
    api_base: str | None
    api_version: str | None
    api_key: SecretStr | None
    token_source: TokenSource | None
    region: str | None
    project: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Lookup:
    """Finds the site that an entry means, completing what it says with the vendor's environment variables."""

    params: Params
    fields: Fields
    environ: Mapping[str, str]
    problems: Problems
    sources: Sources
    """Those of the deployments that were built before."""
    endpoints: Collection[str] = ()
    """What LiteLLM's `supported_endpoints` say of it."""

    def vendor(self) -> tuple[Vendor, str] | None:
        """The vendor and what follows its name; None, with the problem noted, if it is not known."""
        given = self.params.custom_llm_provider
        model = self.params.model
        prefix, slash, rest = model.partition("/")
        name = given or (prefix if slash else "openai")
        vendor = VENDORS.get(ALIASES.get(name, name))
        if vendor is None:
            said = f"unknown provider {name[:80]!r}{did_you_mean(name, VENDORS)}"
            spot = self.fields.place("custom_llm_provider" if given else "model")
            self.problems.add(spot, f"{said} (supported: {', '.join(VENDORS)}; {_HINT})")
            return None
        return vendor, rest if slash and prefix == name else model

    def site(self, vendor: Vendor, model: str) -> Site | None:
        """The site, noting what is missing; None, with the problem noted, if the model can't be called."""
        base = self._base(vendor)
        meaning = self._meaning(vendor, model, base)
        if meaning is None:
            return None
        region = self._region(vendor, meaning.region)
        signin = SignIn(vendor, base, region, self.params, self.fields, self.environ, self.problems, self.sources)
        key, tokens = signin.credential()
        if key is None and tokens is None and signin.needed:
            names = (*vendor.key_env, *vendor.token_env)
            why = f"{vendor.name} takes no call without a key ({looked_at(names)})"
            self._require("api_key", Credentials.model_fields, why)
        version = self.params.responses_api_version or self.params.api_version
        return Site(
            vendor=vendor,
            model=meaning.model,
            dialect=meaning.dialect,
            api_base=base,
            api_version=version or first_set(vendor.version_env, self.environ)[1],
            api_key=key,
            token_source=tokens,
            region=region,
            project=self._project(vendor),
        )

    def _meaning(self, vendor: Vendor, model: str, base: str | None) -> Meaning | None:
        params = self.params
        try:
            meaning = resolve(
                vendor.rule,
                vendor.dialects,
                model,
                base,
                dialect=params.dialect,
                chat_completions=bool(params.use_chat_completions_api),
                endpoints=self.endpoints,
            )
        except ValueError as error:
            self.problems.add(self.fields.place("model"), str(error))
            return None
        if not meaning.model:
            self.problems.add(self.fields.place("model"), f"names no model; write '{vendor.name}/<model>'")
            return None
        if meaning.dialect not in vendor.dialects:
            wishes = [name for name in ("dialect", "use_chat_completions_api") if getattr(params, name)]
            said = f"{vendor.name} is not spoken to in {meaning.dialect}, but in {', '.join(vendor.dialects)}"
            self.problems.add(self.fields.place(wishes[0] if wishes else "model"), said)
            return None
        return meaning

    def _base(self, vendor: Vendor) -> str | None:
        names = ("api_base", "aws_bedrock_runtime_endpoint") if vendor.login is Login.AWS else ("api_base",)
        given = self._one_of(names)
        if given is not None:
            return given
        name, value = first_set(vendor.base_env, self.environ)
        if value is not None:
            try:
                return address(value)
            except ValueError as error:
                self.problems.add(self.fields.place("api_base"), f"the environment variable {name!r} {error}")
        elif vendor.base_required:
            why = f"{vendor.name} has no address of its own ({looked_at(vendor.base_env)})"
            self._require("api_base", ("api_base", "base_url"), why)
        return None

    def _region(self, vendor: Vendor, named: str | None) -> str | None:
        """Where it is. What the model's name says wins over a default, and may not contradict what the entry says."""
        if vendor.login not in _REGIONS:
            return self.params.region
        own, form, whose = _REGIONS[vendor.login]
        given = self._one_of((own, "region"))
        place = self.fields.place(own if own in self.fields.values else "region")
        if named is not None and given not in (None, named) and not self.fields.is_default(place):
            self.problems.add(
                place, f"contradicts {self.fields.place('model')}, which says {named!r}; give one of them"
            )
        found = named or given or self._surroundings(vendor)
        if found is not None and not form.fullmatch(found):
            self.problems.add(place, f"is no region of {whose}")
            return None
        return found

    def _surroundings(self, vendor: Vendor) -> str | None:
        """The region that the environment, or AWS's shared files, name."""
        if vendor.login is Login.GOOGLE:
            return first_set(_LOCATION_ENV, self.environ)[1]
        try:
            return find_region(None, "", self.environ, self.params.aws_profile_name)
        except ConfigurationError as error:
            self.problems.add(self.fields.place("aws_profile_name"), str(error).removeprefix("aws_profile_name: "))
            return None

    def _project(self, vendor: Vendor) -> str | None:
        if vendor.login is not Login.GOOGLE:
            return self.params.project
        return self._one_of(("vertex_project", "project")) or first_set(_PROJECT_ENV, self.environ)[1]

    def _one_of(self, names: tuple[str, ...]) -> str | None:
        """The value of a parameter that has several names of its own; the first one's, if a default says otherwise."""
        given: dict[str, str] = {name: value for name in names if (value := getattr(self.params, name)) is not None}
        places = {name: self.fields.place(name) for name in given}
        said = [name for name in given if not self.fields.is_default(places[name])] or [*given]
        for name in said[1:]:
            if given[name] != given[said[0]]:
                self.problems.add(places[name], f"contradicts {places[said[0]]}; give one of them")
        return given[said[0]] if said else None

    def _require(self, name: str, written: Collection[str], why: str) -> None:
        if not self.fields.excused(written, self.problems):
            self.problems.add(self.fields.place(name), f"is required: {why}")
