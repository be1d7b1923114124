"""End users through the Router: what of a call says it, what goes upstream, who is known to records and totals."""

from __future__ import annotations

from typing import Any

import pytest
from routers import bodies, create, group, serving

from providers.errors import ConfigurationError
from router import APIError, CallRecord, Router
from router.telemetry.spend import NONE


class Records(list[CallRecord]):
    """Keeps what it is given."""

    def attach(self, health: object) -> None:
        """Nothing to do."""

    def take(self, record: CallRecord) -> None:
        self.append(record)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["openai/gpt-4o", "anthropic/claude-opus-5"])
async def test_headers_that_say_who_a_call_is_for_do_not_go_upstream(stream: bool, model: str) -> None:
    records = Records()
    async with serving(1) as upstreams:
        async with Router(
            group(upstreams, model=model),
            callbacks=[records],
            user_header_name="X-Caller",
            user_header_mappings=[{"header_name": "X-User", "litellm_user_role": "customer"}],
        ) as router:
            said = {"X-LiteLLM-End-User-ID": "ann", "X-User": "bob", "x-caller": "eve", "x-own": "kept"}
            try:
                await create(router, stream, extra_headers=said)
            except APIError:
                assert model.startswith("anthropic")  # the simulated deployment speaks no Messages API
            sent = {name.lower() for name in upstreams[0].requests[0].headers}
        assert "x-own" in sent
        assert sent.isdisjoint({"x-litellm-end-user-id", "x-user", "x-caller"})
    assert [record.end_user for record in records] == ["ann"]


async def test_configured_headers_and_what_a_proxy_passes_on() -> None:
    records = Records()
    async with serving(1) as upstreams:
        async with Router(
            group(upstreams), callbacks=[records], user_header_mappings=[{"header_name": "X-User"}], num_retries=0
        ) as router:
            await create(router, False, user="body", litellm_metadata={"headers": {"x-user": "passed"}})
            await create(router, False, user="body", extra_headers={"x-other": "z"})
            with pytest.raises(APIError, match="no deployment serves"):
                await create(router, False, model="nothing", extra_headers={"x-user": "early"})
        assert bodies(upstreams[0])[1]["user"] == "body"
    assert [record.end_user for record in records] == ["passed", "body", "early"]


async def test_personal_ids_are_hashed_in_records_and_totals_but_not_upstream() -> None:
    records = Records()
    async with serving(1) as upstreams:
        async with Router(group(upstreams), callbacks=[records], hash_end_users=True) as router:
            await create(router, False, user="ann@example.com")
            await create(router, False, user="ANN@example.com")
            await create(router, False, user="ann")
            await create(router, False)
            await router.aflush()
            users = router.spend().end_users
        assert bodies(upstreams[0])[0]["user"] == "ann@example.com"
    hashed = records[0].end_user
    assert hashed is not None
    assert hashed.startswith("sha256:")
    assert "example" not in str(users)
    assert {name: each.calls for name, each in users.items()} == {hashed: 2, "ann": 1, NONE: 1}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"user_header_name": ""}, "user_header_name"),
        ({"user_header_mappings": [{"header": "X-User"}]}, "did you mean 'header_name'"),
        ({"user_header_mappings": [{"header_name": "X", "litellm_user_role": "internal_user"}]}, "'customer'"),
        ({"hash_end_user": True}, "did you mean 'hash_end_users'"),
        ({"success_callback": []}, "put them into callbacks"),
        ({"turn_off_message_logging": True}, "unless record_contents is on"),
        ({"json_logs": True}, "JsonLog"),
    ],
)
def test_settings_that_are_wrong_are_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Router([], **settings)
