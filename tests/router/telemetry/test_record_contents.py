"""What a record says of what was asked: nothing but settings, unless contents are recorded."""

from __future__ import annotations

from typing import Any

import pytest
from routers import create, group, misbehave, serving, tick
from wire import Link, serve

from providers.errors import InternalServerError
from providers.types import Deployment
from router import APIError, CallRecord, Router
from router.hiding import hide

CANARY = "canary in the prompt"
ASKED: dict[str, Any] = {
    "instructions": CANARY,
    "temperature": 0.5,
    "store": False,
    "max_output_tokens": 17,
    "service_tier": "flex",
    "truncation": CANARY,
    "top_p": None,
    "reasoning": {"effort": "low", "summary": CANARY, "nested": {"a": 1}},
    "metadata": {"a": CANARY},
}


async def recorded(contents: bool, fault: Any = None, **asked: Any) -> CallRecord:
    """The record of one call."""
    records: list[CallRecord] = []
    async with serving(1) as upstreams:
        misbehave(upstreams[0], fault)
        async with Router(
            group(upstreams), callbacks=[records.append], record_contents=contents, num_retries=1, sleep=tick
        ) as router:
            try:
                await create(router, False, input=CANARY, **asked)
            except APIError:
                assert fault
            await router.aflush()
    (record,) = records
    return record


async def test_settings_are_recorded_and_nothing_else() -> None:
    record = await recorded(False, **ASKED, extra_body={"temperature": 0.25, "background": False})
    assert record.parameters == {
        "temperature": 0.25,
        "store": False,
        "max_output_tokens": 17,
        "service_tier": "flex",
        "reasoning": {"effort": "low"},
        "background": False,
    }
    assert CANARY not in repr(record)
    assert (await recorded(False, reasoning={"summary": CANARY})).parameters == {}


async def test_everything_is_recorded_on_request() -> None:
    record = await recorded(True, **ASKED, user="ann", safety_identifier="bob")
    assert record.parameters == ASKED
    assert (record.input, record.end_user) == (CANARY, "ann")


async def test_what_errors_say_is_recorded_on_request() -> None:
    told, untold = await recorded(True, "500"), await recorded(False, "500")
    assert [each.error_message for each in untold.attempts] == [None, None]
    first, last = told.attempts
    assert first.error_message
    assert (last.error_message, untold.error_message) == (told.error_message, None)
    assert [each.error_code for each in told.attempts] == [each.error_code for each in untold.attempts]


@pytest.mark.parametrize(("code", "expected"), [("unknown_thing", True), (CANARY, False), ("x" * 65, False)])
@pytest.mark.parametrize("contents", [False, True])
async def test_a_code_that_is_no_word_may_quote_what_was_sent(code: str, expected: bool, contents: bool) -> None:
    async def play(link: Link) -> None:
        await link.request()
        body = f'{{"error": {{"message": "x", "code": "{code}"}}}}'
        await link.send(f"HTTP/1.1 400 X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    records: list[CallRecord] = []
    async with serve(play) as server:
        entry = {"model_name": "gpt", "params": {"model": "openai/x", "api_key": "k", "api_base": server.url}}
        async with Router([entry], callbacks=[records.append], record_contents=contents, num_retries=0) as router:
            with pytest.raises(APIError) as raised:
                await create(router, False)
            await router.aflush()
    assert raised.value.code == code
    expected_code = code if expected or contents else None
    assert (records[0].error_code, records[0].attempts[0].error_code) == (expected_code, expected_code)


def test_a_key_in_an_error_s_code_param_or_type_is_hidden() -> None:
    from pydantic import SecretStr

    key = "sk-key-4f9a7c21d8"
    error = InternalServerError("x", code=f"no {key}", param=key, type="server_error")
    hide(error, Deployment("d", "g", "openai", "m", api_key=SecretStr(key)))
    assert (error.code, error.param, error.type) == ("no ***", "***", "server_error")
