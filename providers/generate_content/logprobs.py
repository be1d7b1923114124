"""Log probabilities of tokens. Source: ai.google.dev/api/generate-content#LogprobsResult."""

from __future__ import annotations

from typing import cast

from providers.types import Json, JsonObject


def logprobs(result: Json) -> list[Json]:
    """`logprobs` of a text, from `logprobsResult`; empty if there is none."""
    if not isinstance(result, dict):
        return []
    chosen, top = result.get("chosenCandidates"), result.get("topCandidates")
    others = top if isinstance(top, list) else []
    found: list[Json] = []
    for place, candidate in enumerate(chosen if isinstance(chosen, list) else []):
        step = others[place] if place < len(others) else None
        listed = step.get("candidates") if isinstance(step, dict) else None
        near: list[Json] = [_token(each) for each in (listed if isinstance(listed, list) else [])]
        found.append({**_token(candidate), "top_logprobs": near})
    return found


def _token(candidate: Json) -> JsonObject:
    entry = cast("JsonObject", candidate)
    token = str(entry.get("token") or "")
    return {"token": token, "logprob": entry.get("logProbability") or 0.0, "bytes": list(token.encode())}
