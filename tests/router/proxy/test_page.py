"""The page: what it is served with, what it is told, and what may be done with it, by plain HTTP."""

import asyncio
import base64
import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from fakes import Clock
from proxies import data, proxying
from pydantic import SecretStr
from routers import AFFINITY, KEY, entry, misbehave

from providers.simulated import SimulatedUpstream
from router import Router
from router.proxy.page import endpoint
from router.proxy.page.broadcast import Broadcast
from router.proxy.settings import ProxySettings

MASTER = "sk-master"
SHOWN = {"Authorization": f"Bearer {MASTER}"}


@pytest.fixture(scope="module")
def fleet() -> Iterator[tuple[str, Router, list[SimulatedUpstream]]]:
    """A proxy that wants a key, over `u0` and `u1` of `gpt` and `a/b <i>` of `other`."""
    with ExitStack() as stack:
        upstreams = [stack.enter_context(SimulatedUpstream.in_thread(name)) for name in ("u0", "u1", "a/b <i>")]
        models = [entry(upstreams[0]), entry(upstreams[1]), entry(upstreams[2], "other")]
        budgets = {"openai": {"budget_limit": 5.0, "time_period": "1d"}}
        router = Router(
            models, optional_pre_call_checks=AFFINITY, record_decisions=True, provider_budget_config=budgets
        )
        url = stack.enter_context(proxying(router, ProxySettings(master_key=SecretStr(MASTER))))
        for upstream in upstreams:  # so that connections are there before a test counts them
            assert ask(url, upstream.name).status_code == 200
        yield url, router, upstreams


def ask(url: str, model: str = "gpt", **more: Any) -> httpx.Response:
    body = {"model": model, "input": "a secret question", **more}
    return httpx.post(f"{url}/v1/responses", json=body, headers=SHOWN, timeout=20)


def look(url: str) -> Any:
    answer = httpx.get(f"{url}/fleet", headers=SHOWN)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(url: str, name: str) -> Any:
    return next(each for group in look(url)["groups"] for each in group["deployments"] if each["id"] == name)


def test_the_page_is_public_holds_nothing_and_runs_only_what_is_in_it(
    fleet: tuple[str, Router, list[SimulatedUpstream]],
) -> None:
    answer = httpx.get(fleet[0])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "u0" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; ")
    for kind in ("script", "style"):
        (code,) = re.findall(f"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not re.search(r"(src|href)=\"?(https?:|//)|@import|innerHTML|outerHTML|insertAdjacentHTML", answer.text)


def test_without_the_key_nothing_is_told_or_done(fleet: tuple[str, Router, list[SimulatedUpstream]]) -> None:
    url, router, _ = fleet
    for path in ("/fleet", "/fleet/events"):
        assert httpx.get(url + path).status_code == 401
    assert httpx.post(f"{url}/fleet/u0/drain").status_code == 401
    assert router.drained_deployments() == set()


def test_the_snapshot_tells_of_calls_and_deployments_and_not_what_was_said(
    fleet: tuple[str, Router, list[SimulatedUpstream]],
) -> None:
    url, _, _ = fleet
    first = ask(url).json()
    again = ask(url, previous_response_id=first["id"])
    assert again.status_code == 200
    told = look(url)
    assert [(group["name"], len(group["deployments"])) for group in told["groups"]] == [("gpt", 2), ("other", 1)]
    assert told["spend"]["calls"] >= 2
    assert told["spend"]["cost"] > 0
    assert told["pins"]["learnt"] >= 1
    assert told["budgets"][0]["name"] == "openai"
    call = told["calls"][0]
    assert (call["status"], call["affinity"], call["attempts"][0]["status"]) == ("succeeded", "home", "succeeded")
    home = call["deployment"]
    decision = call["attempts"][0]["decision"]
    assert (decision["pin"], decision["considered"][0]["deployment"]) == ("home", home)
    assert decision["considered"][0]["words"] == "ready"
    served = shown(url, home)
    assert served["latencies"]
    assert served["share"] > 0
    assert served["spent"] > 0
    assert served["state"] == "closed"
    text = httpx.get(f"{url}/fleet", headers=SHOWN).text
    assert "a secret question" not in text
    assert KEY not in text


def test_an_open_breaker_is_told_with_why_and_until_when() -> None:
    with SimulatedUpstream.in_thread("u0") as upstream:
        misbehave(upstream, "500")
        with proxying(Router([entry(upstream)], num_retries=0)) as url:
            while (now := shown(url, "u0"))["state"] == "closed":
                assert ask(url).status_code >= 500
            assert now["reason"]
            assert now["open_for"] > 0 or now["state"] == "half-open"
            failed = look(url)["calls"][0]
            assert failed["status"] == "failed"
            assert failed["error"] == "InternalServerError (500)"
            assert failed["attempts"][0]["error"] == "InternalServerError (500)"


def test_deployments_are_drained_and_undrained_whatever_they_are_called(
    fleet: tuple[str, Router, list[SimulatedUpstream]],
) -> None:
    url, router, _ = fleet
    name = "a%2Fb%20%3Ci%3E"
    answer = httpx.post(f"{url}/fleet/{name}/drain", headers=SHOWN)
    assert answer.json() == {"id": "a/b <i>", "drained": True}
    assert shown(url, "a/b <i>")["drained"]
    assert httpx.post(f"{url}/fleet/{name}/undrain", headers=SHOWN).json()["drained"] is False
    assert router.drained_deployments() == set()
    assert httpx.post(f"{url}/fleet/nobody/drain", headers=SHOWN).status_code == 404
    assert httpx.get(f"{url}/fleet/u0/drain", headers=SHOWN).status_code == 405


def test_another_sites_page_can_drain_nothing(fleet: tuple[str, Router, list[SimulatedUpstream]]) -> None:
    url, router, _ = fleet
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        answer = httpx.post(f"{url}/fleet/u0/drain", headers={**SHOWN, "Sec-Fetch-Site": site})
        assert answer.status_code == status, site
    router.undrain_deployment("u0")


def test_events_come_each_second_and_end_when_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "INTERVAL", 0.01)
    router = Router([entry("http://127.0.0.1:9/v1", id="nobody")])
    with ExitStack() as stack:
        proxy = stack.enter_context(ExitStack())
        url = proxy.enter_context(proxying(router))
        answer = stack.enter_context(httpx.stream("GET", f"{url}/fleet/events", timeout=20))
        assert answer.headers["content-type"].startswith("text/event-stream")
        parts = answer.iter_text()
        text = ""
        while text.count("\n\n") < 3:
            text += next(parts)
        assert data(text)[0]["groups"][0]["deployments"][0]["id"] == "nobody"
        assert text.startswith("event: fleet\n")
        proxy.close()  # it would not, if it had to wait for us
        for _ in parts:
            pass


def test_no_more_watch_than_may_and_who_leaves_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MOST_VIEWERS", 1)
    with proxying(Router([entry("http://127.0.0.1:9/v1", id="nobody")])) as url:
        with httpx.stream("GET", f"{url}/fleet/events", timeout=20) as first:
            parts = first.iter_raw()  # kept: with it, the connection would go
            next(parts)
            assert httpx.get(f"{url}/fleet/events").status_code == 429
        while True:
            with httpx.stream("GET", f"{url}/fleet/events", timeout=20) as later:
                if later.status_code == 200:
                    break


def test_a_large_fleet_is_shown_in_part_the_sick_first() -> None:
    models = [entry("http://127.0.0.1:9/v1", id=f"d{number}") for number in range(600)]
    clock = Clock()
    router = Router(models, clock=clock)
    router._pool.impose("d599", "breaker", 60.0)
    with proxying(router) as url:
        told = httpx.get(f"{url}/fleet").json()
    members = told["groups"][0]["deployments"]
    assert (len(members), told["omitted"], members[0]["id"], members[0]["state"]) == (500, 100, "d599", "open")
    assert members[0]["open_for"] == 60.0
    assert members[1]["share"] is None


@pytest.mark.asyncio
async def test_one_frame_is_made_for_all_viewers_and_none_when_nobody_looks() -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"%d" % len(made)

    broadcast = Broadcast(make, 0.001)
    assert await asyncio.gather(*(broadcast.next() for _ in range(5))) == [b"1"] * 5
    leaving = asyncio.create_task(broadcast.next())
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait({leaving})
    while broadcast._timer is not None:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    assert made == [1]
    staying = asyncio.create_task(broadcast.next())
    await asyncio.sleep(0)
    leaving = asyncio.create_task(broadcast.next())
    await asyncio.sleep(0)
    leaving.cancel()  # it is still there when the end comes
    broadcast.end()
    assert await staying is None
    assert await broadcast.next() is None


@pytest.mark.asyncio
async def test_viewers_are_let_go_if_a_frame_can_not_be_made() -> None:
    def make() -> bytes:
        raise ValueError("broken")

    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    assert await Broadcast(make, 0.001).next() is None
    assert "broken" in repr(complaints[0]["exception"])


def test_a_viewer_that_takes_nothing_in_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MOST_VIEWERS", 1)
    monkeypatch.setattr(endpoint, "INTERVAL", 0.001)
    monkeypatch.setattr(endpoint, "STALLED", 0.05)
    router = Router([entry("http://127.0.0.1:9/v1", id=f"d{number}") for number in range(500)])
    with proxying(router) as url, socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        idle.sendall(b"GET /fleet/events HTTP/1.1\r\nHost: here\r\n\r\n")
        assert idle.recv(12) == b"HTTP/1.1 200"
        while True:  # until there is room again
            with httpx.stream("GET", f"{url}/fleet/events", timeout=20) as later:
                if later.status_code == 200:
                    break
