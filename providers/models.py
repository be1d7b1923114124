"""What a model string says at each vendor: the model's name upstream, the dialect it is spoken to in, and its region.

`openai/gpt-5`, `bedrock/us-west-2/anthropic.claude-…`, `vertex_ai/claude-…`: the part after the vendor's name is read
here, by rules that know families of names and hosts, and no list of models: what is not known is called all the same.
A `*` is read as the vendor's usual model, unless what stands before it says more (`vertex_ai/claude-*`).
Source: LiteLLM's routes (get_llm_provider_logic.py, llms/bedrock/common_utils.py), and the vendors' documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from providers.aws.address import model_name
from providers.azure_ai import is_azure
from providers.types import Dialect


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a model string stands for."""

    model: str
    """The model's name upstream."""
    dialect: Dialect
    region: str | None = None
    """Where it says that the model runs."""


Rule: TypeAlias = Callable[[str, str | None], Meaning]
"""From what follows the vendor's name, and `api_base`, to what they mean. Raises `ValueError` saying what to write."""

AWS_REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
"""`us-east-1`, `us-gov-west-1`, `eusc-de-east-1`."""
GOOGLE_LOCATION: Final = re.compile(r"[a-z]+(-[a-z]+\d+)?")
"""`us-central1`, and the multi-regions `us`, `eu` and `global`."""

_WISHES: Final[Mapping[str, Dialect]] = {
    "responses/": Dialect.RESPONSES,
    "chat_completions/": Dialect.CHAT_COMPLETIONS,
}
"""LiteLLM's marks for how a model is to be spoken to: `openai/responses/gpt-5`, `openai/chat_completions/gpt-5`."""
_RESPONSES_PATHS: Final = frozenset({"/v1/responses", "/responses"})

_PUBLISHER: Final = re.compile(r"^(?:(?:google|gemini)/(?=gemini|\d+$)|anthropic/(?=claude))")
"""What LiteLLM's users write before a model whose name says enough."""
_RESOURCE: Final = re.compile(r"(?:projects/[^/]+/locations/[^/]+/)?(?:(endpoints|models)/|publishers/([^/]+)/models/)")
"""The name of a resource of Vertex AI's, whole or in part."""
_BEDROCK_HOST: Final = re.compile(rf"bedrock-runtime(?:-fips)?\.({AWS_REGION.pattern})\.")
_MANTLE: Final = "write 'bedrock/<model>', which goes to bedrock-runtime"
_NO_MODEL: Final = "agents are no models; name the model"
_BEDROCK_ROUTES: Final[Mapping[str, str]] = {
    "invoke": "write 'bedrock/<model>', which uses Converse",
    "converse_like": "write 'bedrock/<model>' with api_base",
    "async_invoke": "write 'bedrock/<model>', which uses Converse",
    "claude_platform": "write 'anthropic/<model>' with api_base",
    "mantle": _MANTLE,
    "agent": _NO_MODEL,
    "agentcore": _NO_MODEL,
}
"""LiteLLM's routes to other APIs of Bedrock's, and what to write instead."""


def always(dialect: Dialect, *marks: str) -> Rule:
    """The rule of a vendor that is spoken to in one dialect. `marks` before a model's name say nothing."""

    def read(model: str, api_base: str | None) -> Meaning:
        mark = next((each for each in marks if model.startswith(each)), "")
        return Meaning(model.removeprefix(mark), dialect)

    return read


def azure_ai(model: str, api_base: str | None) -> Meaning:
    """Claude by Anthropic's API, all else by the Responses API at Azure's hosts, and at others if they are named so."""
    if model.startswith("agents/"):
        raise ValueError(_NO_MODEL)
    model = model.removeprefix("model_router/")
    parts = urlsplit(api_base or "")
    if model.lower().startswith("claude") or parts.path.endswith(("/anthropic", "/anthropic/v1", "/messages")):
        return Meaning(model, Dialect.MESSAGES)
    native = is_azure(parts.hostname) or parts.path.endswith("/responses")
    return Meaning(model, Dialect.RESPONSES if native else Dialect.CHAT_COMPLETIONS)


def bedrock(model: str, api_base: str | None) -> Meaning:
    """`[converse/][<region>/]<model id, inference profile or ARN>`.

    OpenAI's models but the open ones speak the Responses API, all else Converse. The region is the model's (of a
    segment or the ARN), else that of a Bedrock host in `api_base`.
    """
    named = model_name(model)
    for route in named.routes:
        if route in _BEDROCK_ROUTES:
            raise ValueError(f"has LiteLLM's route '{route}/', which is not taken: {_BEDROCK_ROUTES[route]}")
        if route != "converse" and not named.id.startswith("arn:"):  # before an ARN stands the family, which it hides
            raise ValueError("may have a region and 'converse/' before the model, and nothing else")
    host = _BEDROCK_HOST.match(urlsplit(api_base or "").hostname or "")
    return Meaning(named.id, named.dialect, named.region or (host[1] if host else None))


def vertex(model: str, api_base: str | None) -> Meaning:
    """Gemini and one's own endpoints by Google's API, Claude by Anthropic's, all else as OpenAI did once."""
    model = _PUBLISHER.sub("", model, count=1)
    resource = _RESOURCE.match(model)
    publisher = resource[2] or "google" if resource else None
    if model.startswith("claude") or publisher == "anthropic":
        return Meaning(model, Dialect.MESSAGES)
    google = publisher == "google" or model.startswith(("gemini", "*")) or model.isdecimal()
    return Meaning(model, Dialect.GENERATE_CONTENT if google else Dialect.CHAT_COMPLETIONS)


def resolve(
    rule: Rule,
    spoken: Collection[Dialect],
    model: str,
    api_base: str | None = None,
    *,
    dialect: Dialect | None = None,
    chat_completions: bool = False,
    endpoints: Collection[str] = (),
) -> Meaning:
    """What `model` means by a vendor's `rule`, where the dialect may also be asked for.

    In falling order: `dialect`; `chat_completions`; a mark before the model; `endpoints`, what LiteLLM's
    `supported_endpoints` say; the rule. Of marks and endpoints the wish for the Responses API, which is what is spoken
    to *us* in any case, counts if it is among the `spoken`. A name that is missing is left empty.

    Raises `ValueError` for a model that can't be called.
    """
    mark = next((each for each in _WISHES if model.startswith(each)), "")
    found = rule(model.removeprefix(mark), api_base)
    wish = _WISHES.get(mark)
    if wish is None and not _RESPONSES_PATHS.isdisjoint(endpoints):
        wish = Dialect.RESPONSES
    if wish is Dialect.RESPONSES and wish not in spoken:
        wish = None
    if chat_completions:
        wish = Dialect.CHAT_COMPLETIONS
    return replace(found, dialect=dialect or wish or found.dialect)
