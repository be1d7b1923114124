"""Where a model of Bedrock is: what `litellm_params.model` says, its region, its URL.

Sources: https://docs.aws.amazon.com/general/latest/gr/bedrock.html (endpoints),
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html (inference profiles);
partitions as in botocore/data/partitions.json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from providers.aws.sdk import botocore
from providers.errors import ConfigurationError
from providers.types import Deployment, Dialect

DEFAULT_REGION: Final = "us-west-2"
"""Where a deployment is if nothing says where."""
REGION_ENV: Final = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Environment variables that may name the region, first found wins."""

_REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d+")
_IN_HOST: Final = re.compile(rf"(?:^|\.)bedrock-runtime(?:-fips)?\.({_REGION.pattern})\.")
_SUFFIXES: Final = (
    ("cn-", "amazonaws.com.cn"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-iso-", "c2s.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
)
_TAIL: Final = re.compile(r"(?:/model(?:/[^/]+/(?:converse|converse-stream|invoke|invoke-with-response-stream))?)$")
_OPENAI_TAILS: Final = ("/openai/v1/responses", "/openai/v1", "/openai")
_OPENAI: Final = re.compile(r"(?:^|[./])openai\.(?!gpt-oss)")
"""OpenAI's models at Bedrock, but for those with open weights, which Converse serves."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """What the part of `litellm_params.model` behind `bedrock/` says."""

    id: str
    """A model's id, that of an inference profile, or an ARN."""
    region: str | None = None
    """The region it names, by a segment of its own or in its ARN."""
    routes: tuple[str, ...] = ()
    """Segments before it: `converse`, or a family such as `nova` before an ARN that does not tell its model."""

    @property
    def dialect(self) -> Dialect:
        """What it is asked in: Converse, which serves all models but OpenAI's newer ones."""
        if "converse" in self.routes:
            return Dialect.CONVERSE
        return Dialect.RESPONSES if "responses" in self.routes or _OPENAI.search(self.id) else Dialect.CONVERSE


def model_name(text: str) -> ModelName:
    """Reads `eu-west-1/mistral.…`, `converse/us.anthropic.…`, `arn:aws:bedrock:…`, or a bare id."""
    head, mark, arn = text.partition("arn:")
    if mark and (not head or head.endswith("/")):
        *routes, _ = head.split("/")
        named = arn.split(":")[2:3]
        own = next((route for route in routes if _REGION.fullmatch(route)), None)
        region = own or (named[0] if named and _REGION.fullmatch(named[0]) else None)
        return ModelName(f"arn:{arn}", region, tuple(route for route in routes if route != own))
    *routes, last = text.split("/")
    region = next((route for route in routes if _REGION.fullmatch(route)), None)
    return ModelName(last, region, tuple(route for route in routes if route != region))


def find_region(given: str | None, model: str, environ: Mapping[str, str], profile: str | None = None) -> str | None:
    """The region that an entry of the configuration means: the one given, the model's, the environment's, or that of
    the shared configuration files (read by botocore, if it is installed). None if none of them says.
    """
    found = given or model_name(model).region
    if found is not None:
        return found
    named = next((environ[name] for name in REGION_ENV if environ.get(name)), None)
    if named is not None:
        return named
    try:
        value = botocore("session").Session(profile=profile).get_config_variable("region")
    except ConfigurationError:
        return None
    except botocore("exceptions").ProfileNotFound as error:
        raise ConfigurationError(f"aws_profile_name: {error}") from None
    return value if isinstance(value, str) else None


def region_of(deployment: Deployment, model: str) -> str:
    """Where a model of a deployment is: as configured, as the model or the address says, or `us-west-2`."""
    named = deployment.region or model_name(model).region
    if named:
        return named
    host = _IN_HOST.search(urlsplit(deployment.api_base or "").hostname or "")
    return host[1] if host else DEFAULT_REGION


def signing_region(url: str, deployment: Deployment) -> str:
    """The region whose endpoint `url` is; where the address does not tell, the deployment's."""
    host = _IN_HOST.search(urlsplit(url).hostname or "")
    return host[1] if host else region_of(deployment, deployment.model)


def endpoint(region: str) -> str:
    """The address of Bedrock's runtime in a region."""
    suffix = next((suffix for prefix, suffix in _SUFFIXES if region.startswith(prefix)), "amazonaws.com")
    return f"https://bedrock-runtime.{region}.{suffix}"


def converse_url(deployment: Deployment, model: str, *, stream: bool) -> str:
    """Where a model is asked in Converse. `model` is as in the configuration; its id is one segment of the path."""
    base, query = _base(deployment, model)
    base = _TAIL.sub("", base)
    verb = "converse-stream" if stream else "converse"
    return f"{base}/model/{quote(model_name(model).id, safe='')}/{verb}{query}"


def responses_url(deployment: Deployment, model: str) -> str:
    """Where OpenAI's models are asked in the Responses API."""
    base, query = _base(deployment, model)
    for tail in _OPENAI_TAILS:
        base = base.removesuffix(tail)
    return f"{base}/openai/v1/responses{query}"


def _base(deployment: Deployment, model: str) -> tuple[str, str]:
    """The endpoint without its query, and the query with its `?`."""
    if deployment.api_base is None:
        return endpoint(region_of(deployment, model)), ""
    parts = urlsplit(deployment.api_base)
    base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    return base, f"?{parts.query}" if parts.query else ""
