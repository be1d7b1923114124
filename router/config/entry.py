"""One entry of `model_list`, as users write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from router.config.budgets import Duration
from router.config.costs import Costs
from router.config.credentials import Credentials
from router.config.refusals import MODEL_INFO, PARAMS
from router.config.strict import Amount, AnyJson, Count, JsonMapping, Name, Number, PositiveCount, Seconds, Strict
from router.config.values import (
    Address,
    DialectName,
    File,
    Headers,
    HealthChecks,
    Identifier,
    Printable,
    Proxy,
    Queries,
    Verify,
)
from router.hints import closest


class Body(Strict):
    """Body parameters used where the caller gives none."""

    access_programs: AnyJson = None
    background: bool | None = None
    background_options: AnyJson = None
    context_management: AnyJson = None
    image: AnyJson = None
    include: AnyJson = None
    instructions: AnyJson = None
    max_output_tokens: PositiveCount | None = None
    max_tool_calls: PositiveCount | None = None
    metadata: AnyJson = None
    moderation: AnyJson = None
    parallel_tool_calls: bool | None = None
    prompt: AnyJson = None
    prompt_cache_key: str | None = None
    prompt_cache_options: AnyJson = None
    prompt_cache_retention: str | None = None
    reasoning: AnyJson = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream_options: AnyJson = None
    temperature: Annotated[float, Field(allow_inf_nan=False), Number] | None = None
    text: AnyJson = None
    tool_choice: AnyJson = None
    tools: AnyJson = None
    top_logprobs: Count | None = None
    top_p: Annotated[float, Field(allow_inf_nan=False), Number] | None = None
    truncation: str | None = None
    user: str | None = None


class Traits(Costs):
    """What the Router needs to know of a deployment; taken in `litellm_params` and in `model_info`."""

    synonyms: ClassVar[Mapping[str, str]] = {"region_name": "region", "input_cost_per_query": "input_cost_per_request"}

    weight: Amount | None = None
    """Share of the traffic relative to its siblings; unset counts as 1."""
    order: Annotated[int, Number] | None = None
    """Tier: a higher one is used only when no deployment of a lower one is left. Default 0."""
    rpm: PositiveCount | None = None
    """Requests per minute it may take."""
    tpm: PositiveCount | None = None
    """Tokens per minute it may take."""
    max_parallel_requests: PositiveCount | None = None
    """Calls it may have in flight."""
    tags: list[Name] | None = None
    """Labels that calls can ask for."""
    region: Name | None = None
    """Where it is, for checks and listings."""
    account: Name | None = None
    """Deployments of one account hold each other's stored responses."""
    holds: list[Name] | None = None
    """Ids of files and vector stores that its account holds."""
    cooldown_time: Amount | None = None
    """Seconds it rests after failures; unset: the Router's rule."""
    health_check: HealthChecks | None = None
    """How it is asked whether it is well: not at all (`off`), for its `models`, or by a `call`; unset: the Router's."""
    health_check_model: Name | None = None
    """The model that a `call` goes to, where `model` has a `*`."""
    max_input_tokens: PositiveCount | None = None
    """Tokens of input the model takes."""
    max_budget: Amount | None = None
    """US dollars that may be spent there in each `budget_duration`."""
    budget_duration: Duration | None = None
    """How long `max_budget` lasts before it starts anew: `1h`, `1d`, `1mo`."""


class Params(Traits, Credentials, Body):
    """`litellm_params`, or by its plain name `params`: how to reach a deployment and what to send it."""

    synonyms: ClassVar[Mapping[str, str]] = {
        **Traits.synonyms,
        **Credentials.synonyms,
        "base_url": "api_base",
        "headers": "extra_headers",
        "max_retries": "num_retries",
        "ssl_certificate": "client_cert",
        "vertex_ai_location": "vertex_location",
        "vertex_ai_project": "vertex_project",
    }
    refused: ClassVar[Mapping[str, str]] = PARAMS

    model: Name
    """`provider/model`; without a provider, OpenAI's."""
    custom_llm_provider: Name | None = None
    """The provider, whatever `model` begins with."""
    dialect: DialectName | None = None
    """What the deployment speaks; unset: what its vendor does to such a model, at such an address."""
    use_chat_completions_api: bool | None = None
    """LiteLLM's way to write `dialect: chat_completions`."""
    api_base: Address | None = None
    """Where the vendor's API is; unset: from the vendor's environment variable, or the vendor's own address."""
    api_version: Printable | None = None
    """The API's version, where it has some; unset: from the vendor's environment variable."""
    responses_api_version: Printable | None = None
    """Wins over `api_version`."""
    aws_region_name: Printable | None = None
    """AWS's region, which is `region` too; unset: from AWS_REGION_NAME, AWS_REGION, AWS_DEFAULT_REGION, AWS's files."""
    aws_bedrock_runtime_endpoint: Address | None = None
    """Address of Bedrock, instead of `api_base`."""
    vertex_location: Printable | None = None
    """Google's region, which is `region` too; unset: from VERTEXAI_LOCATION, VERTEX_LOCATION."""
    vertex_project: Printable | None = None
    """Google's project, which is `project` too; unset: from VERTEXAI_PROJECT, or that of the credentials."""
    organization: Printable | None = None
    """OpenAI organization to bill."""
    project: Printable | None = None
    """OpenAI project to bill, or Google's."""
    extra_headers: Headers | None = None
    """Headers of every request to it."""
    extra_query: Queries | None = None
    """Query parameters of every request to it."""
    extra_body: JsonMapping | None = None
    """Body parameters that win over the caller's."""
    drop_params: bool | None = None
    """Whether parameters that its vendor has no word for are left out, and reported, in place of refusing the call."""
    additional_drop_params: list[Name] | None = None
    """Parameters that are always left out."""
    allowed_openai_params: list[Name] | None = None
    """Parameters that are passed on, though its vendor is not known to have a word for them."""
    timeout: Seconds | None = None
    """Seconds for one attempt; unset: the Router's."""
    stream_timeout: Seconds | None = None
    """Seconds to the first event of a stream; unset: the Router's."""
    idle_timeout: Seconds | None = None
    """Seconds between two chunks of a stream; unset: the Router's."""
    num_retries: Count | None = None
    """Retries of a call that failed here; unset: the Router's."""
    ssl_verify: Verify | None = None
    """Check the server's certificate (default true); a path names a CA bundle."""
    client_cert: File | None = None
    """Path of a PEM file with the client certificate and its key."""
    proxy: Proxy | None = None
    """URL of an HTTP proxy."""


PLACE = frozenset(
    {"api_base", "base_url", "api_version", "custom_llm_provider", "dialect", "use_chat_completions_api"}
    | {"aws_region_name", "aws_bedrock_runtime_endpoint"}
    | {"vertex_location", "vertex_project", "vertex_ai_location", "vertex_ai_project"}
)
"""Parameters that say where a deployment is and what it speaks, and nothing else anywhere."""

_ACTIVE = ((Params.model_fields.keys() - Body.model_fields.keys()) | Params.synonyms.keys()) - {"headers"}
"""Names that mean something to the Router, wherever they are written."""

_METADATA = frozenset(
    {"mode", "base_model", "max_output_tokens", "max_tokens", "model_name", "models", "timezone", "account_name"}
)
"""Usual metadata whose names are close to those of fields."""
_OTHER_PRICES = re.compile("_(batches|image|pixel|character|video|page|cache_hit)|cost_per_query|audio_token_cost")
"""Names of LiteLLM's prices of what no call here has, which are metadata too."""


class Info(Traits):
    """`model_info`: the deployment's id, traits, and anything else, which is kept as it is."""

    refused: ClassVar[Mapping[str, str]] = MODEL_INFO

    id: Identifier | None = None
    """Name of the deployment; unset: derived from where it is, never from its credentials."""

    @classmethod
    def objection(cls, name: str) -> str | None:
        """Why `name` can't be kept as metadata: it is, or was meant to be, something the Router would act on."""
        if name in cls.refused:
            return cls.unknown(name)
        if name in _ACTIVE and name not in cls.model_fields and name not in cls.synonyms:
            return "belongs in litellm_params"
        usual = name in _METADATA or ("cost" in name and _OTHER_PRICES.search(name))
        near = None if usual else closest(name, [*_ACTIVE, "id"], likeness=0.8)
        return f"unknown field; did you mean {near!r}?" if near else None


class Entry(Strict):
    """One entry of `model_list`: a deployment and the group it belongs to."""

    synonyms: ClassVar[Mapping[str, str]] = {"params": "litellm_params"}
    model_name: Name
    """The group: what callers ask for. May hold one `*`."""
    litellm_params: Params
    model_info: Info | None = None

    @classmethod
    def unknown(cls, name: str, noun: str = "field") -> str:
        """Most often a parameter on the wrong level."""
        if name in Params.model_fields or name in Params.synonyms:
            return "belongs in litellm_params"
        return super().unknown(name, noun)
