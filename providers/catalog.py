"""Which vendors there are: what translates for each, how its models are named, where its address and key come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TypeAlias, cast

from providers import models
from providers.azure import Azure
from providers.azure_ai import AzureAI
from providers.base import Provider
from providers.google.address import GEMINI_BASE
from providers.messages.address import ANTHROPIC_BASE
from providers.models import Rule, always
from providers.openai import HostedVLLM, OpenAI
from providers.types import Deployment, Dialect


class Login(StrEnum):
    """How a vendor may be told who calls, besides an API key or a bearer token."""

    KEY = "key"
    """In no other way."""
    ENTRA = "entra"
    """Tokens of Microsoft's Entra ID."""
    AWS = "aws"
    """Signatures with Amazon's keys."""
    GOOGLE = "google"
    """Tokens of Google's credentials."""

    @property
    def finds_credentials(self) -> bool:
        """Whether credentials are looked for where the vendor's own tools do, so that none need be given."""
        return self in (Login.AWS, Login.GOOGLE)


_Maker: TypeAlias = Callable[[], Provider]


def _later(place: str, name: str, base: str | None = None) -> _Maker:
    """Makes a vendor's translator, of the class at `module:class`: those of all would take a sixth of the time that
    `import router` takes, and few need more than one."""
    module, _, kind = place.partition(":")
    arguments = (name,) if base is None else (name, base)
    return lambda: cast("Provider", getattr(import_module(module), kind)(*arguments))


class Dialects(Mapping[Dialect, Provider]):
    """What translates, by dialect: what is given, or made when it is first asked for."""

    def __init__(self, known: Mapping[Dialect, Provider | _Maker]) -> None:
        self._known = dict(known)

    def __getitem__(self, dialect: Dialect) -> Provider:
        found = self._known[dialect]
        if callable(found):
            found = self._known[dialect] = found()
        return found

    def __contains__(self, dialect: object) -> bool:
        return dialect in self._known

    def __iter__(self) -> Iterator[Dialect]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


@dataclass(frozen=True, slots=True)
class Vendor:
    """What a `provider/` prefix of `litellm_params.model` stands for."""

    name: str
    dialects: Mapping[Dialect, Provider]
    """What translates for its deployments, by what they speak; the usual dialect first."""
    rule: Rule
    """What its models' names mean."""
    key_env: tuple[str, ...] = ()
    """Environment variables that may hold the key, first found wins; then those of a bearer token."""
    token_env: tuple[str, ...] = ()
    base_env: tuple[str, ...] = ()
    version_env: tuple[str, ...] = ()
    default_base: str | None = None
    key_required: bool = True
    login: Login = Login.KEY

    @property
    def provider(self) -> Provider:
        """What translates for those that speak its usual dialect."""
        return next(iter(self.dialects.values()))

    @property
    def base_required(self) -> bool:
        """Whether `api_base` must be given: the vendor has no address of its own, nor one for each region."""
        return self.default_base is None and not self.login.finds_credentials


def _chats(name: str, base: str | None = None, kind: str = "ChatCompletions") -> _Maker:
    return _later(f"providers.chat_completions.translator:{kind}", name, base)


def _claude(name: str, base: str | None = None, kind: str = "Messages") -> _Maker:
    return _later(f"providers.messages.provider:{kind}", name, base)


def _google(name: str, base: str | None = None, kind: str = "GenerateContent") -> _Maker:
    return _later(f"providers.generate_content.translator:{kind}", name, base)


def _keys(name: str, *more: str) -> tuple[str, ...]:
    return (f"{name.upper()}_API_KEY", *more)


def _bases(name: str, *more: str) -> tuple[str, ...]:
    return (f"{name.upper()}_API_BASE", *more)


def _native(name: str, base: str, keys: tuple[str, ...] = (), bases: tuple[str, ...] = ()) -> Vendor:
    """A vendor that speaks the Responses API, and chat completions if it is asked to."""
    return Vendor(
        name,
        Dialects({Dialect.RESPONSES: OpenAI(name, base), Dialect.CHAT_COMPLETIONS: _chats(name, base)}),
        always(Dialect.RESPONSES),
        keys or _keys(name),
        base_env=bases or _bases(name),
        default_base=base,
    )


def _chat(
    name: str,
    base: str | None,
    keys: tuple[str, ...] = (),
    *,
    key_required: bool = True,
    native: type[OpenAI] = OpenAI,
) -> Vendor:
    """A vendor that speaks chat completions, and the Responses API if it is asked to."""
    return Vendor(
        name,
        Dialects({Dialect.CHAT_COMPLETIONS: _chats(name, base), Dialect.RESPONSES: native(name, base)}),
        always(Dialect.CHAT_COMPLETIONS),
        keys or _keys(name),
        base_env=_bases(name),
        default_base=base,
        key_required=key_required,
    )


_ALL = (
    _native("openai", "https://api.openai.com/v1", bases=("OPENAI_BASE_URL", "OPENAI_API_BASE")),
    Vendor(
        "azure",
        Dialects({Dialect.RESPONSES: Azure("azure"), Dialect.CHAT_COMPLETIONS: _chats("azure", kind="AzureChat")}),
        always(Dialect.RESPONSES, "o_series/", "gpt5_series/"),
        ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
        ("AZURE_AD_TOKEN", "AZURE_OPENAI_AD_TOKEN"),
        ("AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"),
        ("AZURE_API_VERSION",),
        login=Login.ENTRA,
    ),
    Vendor(
        "azure_ai",
        Dialects(
            {
                Dialect.RESPONSES: AzureAI("azure_ai"),
                Dialect.CHAT_COMPLETIONS: _chats("azure_ai", kind="AzureAIChat"),
                Dialect.MESSAGES: _claude("azure_ai", kind="FoundryMessages"),
            }
        ),
        models.azure_ai,
        ("AZURE_AI_API_KEY",),
        base_env=("AZURE_AI_API_BASE",),
        login=Login.ENTRA,
    ),
    Vendor(
        "hosted_vllm",
        Dialects({Dialect.RESPONSES: HostedVLLM("hosted_vllm"), Dialect.CHAT_COMPLETIONS: _chats("hosted_vllm")}),
        always(Dialect.RESPONSES),
        _keys("hosted_vllm"),
        base_env=_bases("hosted_vllm"),
        key_required=False,
    ),
    Vendor(
        "litellm_proxy",
        Dialects({Dialect.RESPONSES: OpenAI("litellm_proxy"), Dialect.CHAT_COMPLETIONS: _chats("litellm_proxy")}),
        always(Dialect.RESPONSES),
        _keys("litellm_proxy"),
        base_env=_bases("litellm_proxy"),
    ),
    _native("openrouter", "https://openrouter.ai/api/v1"),
    _native("xai", "https://api.x.ai/v1"),
    _native(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        _keys("fireworks_ai", "FIREWORKS_API_KEY"),
        _bases("fireworks_ai", "FIREWORKS_API_BASE"),
    ),
    Vendor(
        "anthropic",
        Dialects({Dialect.MESSAGES: _claude("anthropic", ANTHROPIC_BASE)}),
        always(Dialect.MESSAGES),
        _keys("anthropic"),
        ("ANTHROPIC_AUTH_TOKEN",),
        ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
        default_base=ANTHROPIC_BASE,
    ),
    Vendor(
        "bedrock",
        Dialects(
            {
                Dialect.CONVERSE: _later("providers.converse.provider:Converse", "bedrock"),
                Dialect.RESPONSES: _later("providers.aws.responses:BedrockResponses", "bedrock"),
            }
        ),
        models.bedrock,
        ("AWS_BEARER_TOKEN_BEDROCK",),
        base_env=("AWS_BEDROCK_RUNTIME_ENDPOINT", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        key_required=False,
        login=Login.AWS,
    ),
    Vendor(
        "gemini",
        Dialects({Dialect.GENERATE_CONTENT: _google("gemini", GEMINI_BASE)}),
        always(Dialect.GENERATE_CONTENT),
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        base_env=_bases("gemini"),
        default_base=GEMINI_BASE,
    ),
    Vendor(
        "vertex_ai",
        Dialects(
            {
                Dialect.GENERATE_CONTENT: _google("vertex_ai", kind="VertexGenerateContent"),
                Dialect.MESSAGES: _claude("vertex_ai", kind="VertexMessages"),
                Dialect.CHAT_COMPLETIONS: _chats("vertex_ai", kind="VertexChat"),
            }
        ),
        models.vertex,
        base_env=("VERTEXAI_API_BASE",),
        key_required=False,
        login=Login.GOOGLE,
    ),
    _chat("groq", "https://api.groq.com/openai/v1"),
    _chat("mistral", "https://api.mistral.ai/v1"),
    _chat("deepseek", "https://api.deepseek.com/beta"),
    _chat(
        "together_ai", "https://api.together.ai/v1", ("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY")
    ),
    _chat("cerebras", "https://api.cerebras.ai/v1"),
    _chat("perplexity", "https://api.perplexity.ai", ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"), native=HostedVLLM),
    _chat("nvidia_nim", "https://integrate.api.nvidia.com/v1"),
    _chat("ollama", "http://localhost:11434", key_required=False, native=HostedVLLM),
    _chat("openai_compatible", None, key_required=False),
)

VENDORS: Mapping[str, Vendor] = {vendor.name: vendor for vendor in _ALL}
"""By the prefix of `litellm_params.model`."""

ALIASES: Mapping[str, str] = {
    "custom_openai": "openai_compatible",
    "ollama_chat": "ollama",
    "openai_like": "openai_compatible",
}
"""LiteLLM's other prefixes → the vendor."""


def provider_of(deployment: Deployment) -> Provider:
    """What translates for a deployment."""
    found = deployment.memo.get("provider")
    if found is None:
        vendor = VENDORS[deployment.provider]
        found = deployment.memo["provider"] = vendor.dialects.get(deployment.dialect, vendor.provider)
    return cast("Provider", found)
