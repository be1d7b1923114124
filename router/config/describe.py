"""A deployment as `get_model_list` shows it: in the shape it was configured in, without secrets."""

from __future__ import annotations

from collections.abc import Mapping

from providers.aws.credentials import AwsCredentials
from providers.azure_entra import EntraCredential
from providers.google.credentials import GoogleCredentials
from providers.types import Deployment, Json, JsonObject

HIDDEN = "***"
"""Stands for a secret."""

_SHOWN = (
    "api_base",
    "api_version",
    "organization",
    "project",
    "weight",
    "rpm",
    "tpm",
    "max_parallel_requests",
    "region",
    "account",
    "timeout",
    "stream_timeout",
    "idle_timeout",
    "cooldown_time",
    "num_retries",
    "health_check",
    "health_check_model",
    "max_input_tokens",
    "max_budget",
    "budget_duration",
)

_SETS = ("tags", "holds", "additional_drop_params", "allowed_openai_params")
_SOURCES: Mapping[type, str] = {
    AwsCredentials: "aws_secret_access_key",
    EntraCredential: "client_secret",
    GoogleCredentials: "vertex_credentials",
}
"""The parameter that stands for a source of tokens."""


def describe(deployment: Deployment) -> JsonObject:
    """`{model_name, litellm_params, model_info}` of a deployment, as new JSON.

    Keys, tokens, and values of headers and query parameters read `***`; the certificate's and the proxy's settings
    are left out.
    """
    params: JsonObject = {"model": f"{deployment.provider}/{deployment.model}"}
    params |= {name: value for name in _SHOWN if (value := getattr(deployment, name)) is not None}
    if deployment.prices is not None:
        params |= deployment.prices.given
    params["dialect"] = deployment.dialect.value
    if deployment.order:
        params["order"] = deployment.order
    if deployment.drop_params:
        params["drop_params"] = True
    params |= {name: [*sorted(names)] for name in _SETS if (names := getattr(deployment, name))}
    if deployment.api_key is not None:
        params["api_key"] = HIDDEN
    if deployment.token_source is not None:
        params[_SOURCES.get(type(deployment.token_source), "azure_ad_token_provider")] = HIDDEN
    for name, values in (("extra_headers", deployment.headers), ("extra_query", deployment.query)):
        if values:
            params[name] = dict.fromkeys(values, HIDDEN)
    if deployment.extra_body:
        params["extra_body"] = _copy(deployment.extra_body)
    params |= {name: _copy(value) for name, value in deployment.defaults.items()}
    info: JsonObject = {"id": deployment.id}
    info |= {name: _copy(value) for name, value in deployment.info.items()}
    return {"model_name": deployment.group, "litellm_params": params, "model_info": info}


def _copy(value: Json | Mapping[str, Json]) -> Json:
    if isinstance(value, Mapping):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
