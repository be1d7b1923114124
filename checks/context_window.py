"""Keep a request away from deployments whose context window it exceeds."""

from __future__ import annotations

from collections.abc import Sequence

from checks import tokens
from checks.base import PreCallCheck
from providers.errors import ContextWindowExceededError
from providers.types import Call, Deployment, Verb


class ContextWindow(PreCallCheck):
    """Leaves out deployments whose `max_input_tokens` is below the size of the request.

    The size is bounded by the request's bytes; only when that bound exceeds a limit is it estimated word by word
    (`checks.tokens`). What an earlier turn holds upstream is not counted. Raises `ContextWindowExceededError`, which
    turns to the `context_window_fallbacks`, when no deployment is large enough.
    """

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """Those that are large enough."""
        if not call.verb.asks_model or call.verb is Verb.INPUT_TOKENS:
            return deployments
        limits = [each.max_input_tokens for each in deployments if each.max_input_tokens is not None]
        if not limits or tokens.bound(call) <= min(limits):
            return deployments
        size = tokens.estimate(call)
        fitting = [each for each in deployments if each.max_input_tokens is None or size <= each.max_input_tokens]
        if fitting:
            return deployments if len(fitting) == len(deployments) else fitting
        raise ContextWindowExceededError(
            f"the request has about {size} tokens; the largest deployment of {call.group!r} takes {max(limits)}",
            code="context_length_exceeded",
            param="input",
        )
