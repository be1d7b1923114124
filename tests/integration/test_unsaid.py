"""Groups of which not every deployment can say what is asked: those that can serve it, and nobody else is blamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from provider_stages import Claude, Gemini, Native, Stage
from routers import tick

from router import NoDeploymentError, ResponseStream, Router, ServiceUnavailableError, UnsupportedParamsError

MODERATED: dict[str, Any] = {"input": "Hi", "moderation": {"model": "m", "policy": {}}}
"""Only the Responses API has a word for `moderation`."""


@pytest.fixture
async def stages() -> AsyncIterator[dict[str, Stage]]:
    made: list[Stage] = [Native("azure", ""), Claude(), Gemini()]
    async with AsyncExitStack() as stack:
        for stage in made:
            await stack.enter_async_context(stage.play())
        yield {stage.title: stage for stage in made}


def group(stages: dict[str, Stage], *names: str, **settings: Any) -> Router:
    entries = [stages[name].entry(order=place) for place, name in enumerate(names)]
    return Router(entries, sleep=tick, **settings)


@pytest.mark.parametrize("stream", [False, True])
async def test_it_is_served_by_the_one_that_can_say_it(stages: dict[str, Stage], stream: bool) -> None:
    async with group(stages, "anthropic", "gemini", "azure", num_retries=0) as router:
        for _ in range(3):
            stages["azure"].says("Hello.", stream=stream)
            answer = await router.aresponses("group", stream=stream, **MODERATED)
            assert answer.routing.provider == "azure"
            assert [type(attempt.error) for attempt in answer.routing.attempts] == [
                UnsupportedParamsError,
                UnsupportedParamsError,
                type(None),
            ]
            if isinstance(answer, ResponseStream):
                await answer.aclose()
        assert {each.state for each in router.health()} == {"closed"}, "that is nobody's failure"
        assert stages["anthropic"].bodies() == stages["gemini"].bodies() == []


async def test_if_nobody_can_the_error_says_what_and_why(stages: dict[str, Stage]) -> None:
    async with group(stages, "anthropic", "gemini") as router:
        with pytest.raises(UnsupportedParamsError, match="moderation: not supported") as raised:
            await router.aresponses("group", **MODERATED)
    assert raised.value.status_code == 400
    assert raised.value.param == "moderation"
    assert raised.value.code == "unsupported_parameter"
    assert len(raised.value.attempts) == 2, "each was asked once"


async def test_the_one_that_can_is_asked_again_when_it_fails(stages: dict[str, Stage]) -> None:
    async with group(stages, "azure", "anthropic", num_retries=2) as router:
        stages["azure"].fails("overload")
        stages["azure"].says("Hello.", stream=False)
        answer = await router.aresponses("group", **MODERATED)
        assert answer.routing.provider == "azure"
        assert [attempt.deployment_id for attempt in answer.routing.attempts][1:-1] == ["anthropic"]


async def test_its_failure_is_what_the_call_ends_with(stages: dict[str, Stage]) -> None:
    async with group(stages, "azure", "anthropic", num_retries=1) as router:
        for _ in range(2):
            stages["azure"].fails("overload")
        with pytest.raises(ServiceUnavailableError):
            await router.aresponses("group", **MODERATED)


async def test_a_breaker_that_is_open_is_what_keeps_it_from_being_served(stages: dict[str, Stage]) -> None:
    async with group(stages, "azure", "anthropic", num_retries=0, on_all_down="fail") as router:
        for _ in range(2):
            stages["azure"].fails("overload")
            with pytest.raises(ServiceUnavailableError):
                await router.aresponses("azure", "Hi")
        assert next(each.state for each in router.health() if each.id == "azure") == "open"
        with pytest.raises(NoDeploymentError, match="azure"):
            await router.aresponses("group", **MODERATED)
