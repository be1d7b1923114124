"""Health checks of every vendor, against what is as strict as the vendor is: where they ask, how, and what they make
of the answers."""

from typing import Any

import pytest
from provider_stages import Native, Stage, stages

from router import HealthCheck, Router

LISTS = {"anthropic", "gemini", "openai_compatible", "groq", "mistral", "deepseek", "ollama", "together_ai", "cerebras",
         "perplexity", "nvidia_nim", "openai", "azure"}  # fmt: skip
"""Those that list their models where they serve them."""
EVERY = stages()


@pytest.fixture(params=EVERY, ids=[f"{stage.name}-{stage.dialect}" for stage in EVERY])
def stage(request: pytest.FixtureRequest) -> Stage:
    found: Stage = request.param
    return found


async def checked(stage: Stage, kind: Any, **params: Any) -> HealthCheck:
    router = Router([stage.entry(**params)])
    (found,) = await router.acheck_health(kind=kind)
    (health,) = router.health()
    assert health.last_check == found
    assert (health.calls, health.in_flight, health.latency) == (0, 0, None)
    assert health.state == ("open" if found.error == "AuthenticationError" else "closed")
    await router.aclose()
    return found


async def test_models_are_asked_for_where_they_are_listed(stage: Stage) -> None:
    async with stage.play():
        found = await checked(stage, "models")
        assert stage.complaints() == []
    if stage.name in LISTS:
        assert (found.ok, found.error, found.note) == (True, None, "")
        assert found.latency is not None
    else:
        assert (found.ok, found.error, found.latency) == (None, None, None)
        assert found.note == "it has no list of models to ask for; set health_check to 'call'"


async def test_a_call_for_one_token_is_taken_everywhere(stage: Stage) -> None:
    async with stage.play():
        stage.says("length", stream=False)
        found = await checked(stage, "call")
        assert (found.ok, found.error, found.kind) == (True, None, "call"), stage.complaints()
        assert stage.complaints() == []
        (body,) = [each for each in stage.bodies() if each]
    assert "ping" in str(body)
    assert (16 if isinstance(stage, Native) else 1) in _numbers(body)


@pytest.mark.parametrize(
    ("what", "ok", "error"), [("key", False, "AuthenticationError"), ("rate", True, "RateLimitError")]
)
async def test_what_a_call_is_refused_for_is_told_apart(stage: Stage, what: str, ok: bool, error: str) -> None:
    async with stage.play():
        stage.fails(what)
        found = await checked(stage, "call")
    assert (found.ok, found.error) in ((ok, error), (ok, "PermissionDeniedError"))


@pytest.mark.parametrize("stage", [each for each in EVERY if each.name in LISTS and not isinstance(each, Native)],
                         ids=lambda each: each.name)  # fmt: skip
async def test_a_key_that_may_not_list_is_found_out(stage: Stage) -> None:
    async with stage.play():
        found = await checked(stage, "models", api_key="sk-another-key")
    assert (found.ok, found.error) == (False, "AuthenticationError")


def _numbers(value: object) -> list[int]:
    if isinstance(value, dict):
        return [number for each in value.values() for number in _numbers(each)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []
