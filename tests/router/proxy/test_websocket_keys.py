"""Virtual keys over WebSockets: the limits of a key hold for each response, and what was taken is given back."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import leftovers
import pytest
from proxies import proxying
from routers import AFFINITY, group, misbehave
from virtual_keys import configured, keyed, secret
from websocket_talk import ask, hear, opened, say
from websockets.exceptions import InvalidStatus
from websockets.sync.connection import Connection

from providers.simulated import SimulatedUpstream
from router import Router
from router.proxy.app import Proxy
from router.proxy.keys.limits import MemoryLimiter

KEYS = (
    configured("gpt-only", models=["gpt"]),
    configured("few", rpm_limit=1),
    configured("one", max_parallel_requests=1),
    configured("another"),
    configured("brief"),
)


_nothing_left_open = leftovers.nothing_left_open_at_the_end


@pytest.fixture(scope="module")
def upstream() -> Iterator[SimulatedUpstream]:
    with SimulatedUpstream.in_thread("u0") as made:
        yield made


@pytest.fixture(scope="module")
def made(upstream: SimulatedUpstream) -> Iterator[tuple[str, Proxy]]:
    """A proxy, and where it is."""
    kept: list[Proxy] = []

    def keep(*args: Any) -> Proxy:
        kept.append(Proxy(*args))
        return kept[0]

    model_list = [*group([upstream]), *group([upstream], "other", id="u1")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxies.Proxy", keep)
        with proxying(Router(model_list, optional_pre_call_checks=AFFINITY, num_retries=0), keyed(*KEYS)) as url:
            yield url, kept[0]


def by(made: tuple[str, Proxy], alias: str) -> AbstractContextManager[Connection]:
    """The connection of whoever has a key."""
    return opened(made[0], headers={"authorization": f"Bearer {secret(alias)}"})


def test_a_key_is_for_its_models_only(made: tuple[str, Proxy]) -> None:
    with by(made, "gpt-only") as socket:
        for body in ({"model": "other"}, {"model": "other", "generate": False}, {"fallbacks": ["other"]}):
            event = ask(socket, **body)
            assert (event["status"], event["error"]["code"]) == (403, "model_not_allowed"), body
        assert ask(socket)["type"] == "response.completed"


def test_the_limits_of_a_key_hold_for_each_response(made: tuple[str, Proxy]) -> None:
    with by(made, "few") as socket:
        assert ask(socket)["type"] == "response.completed"
        event = ask(socket)
        assert (event["status"], event["error"]["code"]) == (429, "rate_limit_exceeded")
        assert event["error"]["headers"]["x-ratelimit-limit-requests"] == "1"


async def test_what_a_response_takes_is_given_back_before_its_end_is_told(upstream: SimulatedUpstream) -> None:
    async with Router(group([upstream]), optional_pre_call_checks=AFFINITY) as router:
        proxy = Proxy(router, keyed(*KEYS))
        limiter = proxy.keys._limiter
        assert isinstance(limiter, MemoryLimiter)
        said = json.dumps({"type": "response.create", "model": "gpt", "input": "hi"})
        messages = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": said}])
        ended = asyncio.Event()
        held: list[int] = []

        async def receive() -> Any:
            for message in messages:
                return message
            await ended.wait()
            return {"type": "websocket.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "websocket.send":
                kind = json.loads(message["text"])["type"]
                if kind == "response.completed":
                    held.append(limiter.in_flight("config:one"))
                    ended.set()

        headers = [(b"authorization", f"Bearer {secret('one')}".encode())]
        await proxy({"type": "websocket", "path": "/responses", "headers": headers}, receive, send)
        assert held == [0]


def test_what_a_response_takes_is_given_back_when_its_client_leaves(
    made: tuple[str, Proxy], upstream: SimulatedUpstream
) -> None:
    limiter = made[1].keys._limiter
    assert isinstance(limiter, MemoryLimiter)
    with by(made, "one") as first, by(made, "one") as second:
        for socket in (first, second, first):
            assert ask(socket)["type"] == "response.completed"
        misbehave(upstream, "stall_after_output")
        say(first)
        assert hear(first)["type"] == "response.created"
        assert ask(second)["status"] == 429
        assert limiter.in_flight("config:one") == 1
    upstream.wait_until(lambda: upstream.active_requests == 0)
    misbehave(upstream)
    with by(made, "one") as socket:
        assert ask(socket)["type"] == "response.completed"


def test_responses_of_others_are_not_there(made: tuple[str, Proxy]) -> None:
    with by(made, "one") as mine, by(made, "another") as theirs:
        stored = ask(mine)["response"]["id"]
        assert ask(theirs, previous_response_id=stored)["error"]["code"] == "previous_response_not_found"
        assert ask(mine, previous_response_id=stored)["type"] == "response.completed"


def test_a_key_that_is_taken_back_is_good_for_nothing_more(made: tuple[str, Proxy]) -> None:
    with by(made, "brief") as socket:
        assert ask(socket)["type"] == "response.completed"
        made[1].keys.take(KEYS[:-1])
        event = ask(socket)
        assert (event["status"], event["error"]["code"]) == (401, "invalid_api_key")
    with pytest.raises(InvalidStatus) as denied, by(made, "brief"):
        pass
    assert json.loads(denied.value.response.body or b"")["error"]["code"] == "invalid_api_key"
