"""The Conversations API, which lies beside the Responses API: who has it, and where its operations are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.errors import UnsupportedParamsError
from providers.types import Deployment, Verb

VENDORS: Final = frozenset({"openai", "azure", "azure_ai", "litellm_proxy"})
"""Whose deployments keep conversations, where they speak the Responses API; what is reached as `openai` with another
`api_base` may not, and says so when it is asked."""

METHODS: Final[Mapping[Verb, str]] = {
    Verb.CREATE_CONVERSATION: "POST",
    Verb.GET_CONVERSATION: "GET",
    Verb.UPDATE_CONVERSATION: "POST",
    Verb.DELETE_CONVERSATION: "DELETE",
    Verb.CREATE_CONVERSATION_ITEMS: "POST",
    Verb.LIST_CONVERSATION_ITEMS: "GET",
    Verb.GET_CONVERSATION_ITEM: "GET",
    Verb.DELETE_CONVERSATION_ITEM: "DELETE",
}
ONE_ITEM: Final = frozenset({Verb.GET_CONVERSATION_ITEM, Verb.DELETE_CONVERSATION_ITEM})
"""Verbs whose path names an item too."""
OF_ITEMS: Final = ONE_ITEM | {Verb.CREATE_CONVERSATION_ITEMS, Verb.LIST_CONVERSATION_ITEMS}


def keeps_conversations(deployment: Deployment) -> bool:
    """Whether a deployment's vendor has the Conversations API."""
    return deployment.dialect.keeps_state and deployment.provider in VENDORS


def refusal(who: str, why: str = f"deployments of {', '.join(sorted(VENDORS))} do") -> UnsupportedParamsError:
    """What a call is refused with by `who`: a vendor, or one deployment, that keeps no conversations."""
    return UnsupportedParamsError(
        f"{who} keeps no conversations; {why}",
        code="unsupported_operation",
        type="invalid_request_error",
    )
