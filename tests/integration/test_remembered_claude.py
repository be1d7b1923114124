"""A tool loop with signed thinking at a vendor that keeps no state, continued by ids alone, wherever it is hosted."""

from __future__ import annotations

from typing import Any

import pytest
from fake_anthropic import KEY as ANTHROPIC_KEY
from fake_anthropic import FakeAnthropic, fake_anthropic, message
from routers import AFFINITY, bodies, closed, create, entry, served, serving, tick

from router import Router

TOOLS: list[Any] = [
    {"type": "function", "name": "step", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}
]
THINKING: dict[str, Any] = {"reasoning": {"effort": "high", "summary": "auto"}, "max_output_tokens": 4096}


def claude(fake: FakeAnthropic, name: str, **params: Any) -> dict[str, Any]:
    """A deployment of Anthropic's."""
    given = {"model": "anthropic/claude-sonnet-4-5", "api_key": ANTHROPIC_KEY, "api_base": fake.url, **params}
    return {"model_name": "gpt", "litellm_params": given, "model_info": {"id": name}}


def overloaded(fake: FakeAnthropic) -> None:
    """Answer the next request as one too many."""
    fake.refuse(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})


@pytest.mark.parametrize("checks", [(), AFFINITY])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_loop_goes_on_by_ids_at_another_deployment_and_at_another_vendor(
    stream: bool, checks: tuple[str, ...]
) -> None:
    async with fake_anthropic() as one, fake_anthropic() as two, serving(1) as upstreams:
        router = Router(
            [claude(one, "one"), claude(two, "two", order=1), entry(upstreams[0], order=2)],
            optional_pre_call_checks=checks,
            num_retries=2,
            sleep=tick,
        )
        common: dict[str, Any] = {"tools": TOOLS, **THINKING}
        one.play("interleaved")
        asked = await create(router, stream, input="Take two steps.", instructions="Be brief.", **common)
        calls = [item for item in asked.output if item.type == "function_call"]
        results = [{"type": "function_call_output", "call_id": each.call_id, "output": "done"} for each in calls]
        assert calls
        assert await router.aget_responses(asked.id) == asked.to_dict()
        overloaded(one)
        two.sign(*(block for block in message("interleaved")["content"] if block["type"] == "thinking"))
        two.play("text")
        told = await create(router, stream, input=results, previous_response_id=asked.id, **common)
        assert served(told) == "two"
        kinds = [block["type"] for block in two.body["messages"][1]["content"]]
        assert kinds[0] == "thinking", "what it thought goes with it"
        assert "tool_use" in kinds
        assert two.body["messages"][2]["content"][0]["type"] == "tool_result"
        assert "Be brief." not in str(two.body), "instructions are not inherited"
        assert told.previous_response_id == asked.id
        assert one.refused == two.refused == []
        last = await create(router, stream, "u0", "Thank you.", previous_response_id=told.id)
        assert served(last) == "u0"
        assert {item["type"] for item in bodies(upstreams[0])[-1]["input"]} == {
            "message",
            "function_call",
            "function_call_output",
        }
        await closed(router, upstreams)
