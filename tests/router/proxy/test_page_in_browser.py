"""The page in a real browser: shown, watched, asked for its key, used by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from browsers import CHROMIUM, browsing
from proxies import proxying
from pydantic import SecretStr
from routers import AFFINITY, entry

from providers.simulated import SimulatedUpstream
from router import Router
from router.proxy.settings import ProxySettings

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian's package chromium)"),
]
SLY = "<img src=x onerror=alert(1)>"
LIVE = "document.getElementById('link').textContent === 'live'"
TEXT = "document.body.innerText"


@pytest.fixture(scope="module")
def fleet() -> Iterator[tuple[str, Router]]:
    """A proxy that wants a key, over three deployments, one of which has a name that would be markup."""
    with ExitStack() as stack:
        names = ("east", "west", SLY)
        upstreams = [stack.enter_context(SimulatedUpstream.in_thread(name)) for name in names]
        router = Router([entry(each) for each in upstreams], optional_pre_call_checks=AFFINITY, record_decisions=True)
        url = stack.enter_context(proxying(router, ProxySettings(master_key=SecretStr("sk-master"))))
        for number in range(5):
            body = {"model": "gpt", "input": f"{number}"}
            httpx.post(f"{url}/v1/responses", json=body, headers={"x-api-key": "sk-master"}, timeout=20)
        yield url, router


async def test_the_page_asks_for_its_key_and_shows_the_fleet_live(fleet: tuple[str, Router], tmp_path: Path) -> None:
    url, router = fleet
    async with browsing(tmp_path) as tab:
        await tab.open(url)
        await tab.until("document.activeElement.id === 'key'")
        for key, said in (("wrong", "not valid"), ("sk-master", "")):
            await tab.tell("Input.insertText", text=key)
            await tab.press("Enter", 13)
            await tab.until(f"document.getElementById('told').textContent.includes({said!r})" if said else LIVE)
        assert (
            await tab.run("JSON.stringify([localStorage.length, document.cookie, sessionStorage.length])") == '[0,"",1]'
        )

        # what came from the configuration is text
        assert await tab.run("document.querySelectorAll('img').length") == 0
        assert SLY in await tab.run(TEXT)
        assert await tab.run("document.querySelectorAll('.fleet tbody tr').length") == 3
        assert await tab.run("document.querySelectorAll('#calls > li').length") == 5
        assert "3 of 3 deployments can serve" in await tab.run(TEXT)

        # a call's reasons, by keyboard
        await tab.run("document.querySelector('#calls summary').focus()")
        await tab.press("Enter", 13)
        await tab.until("document.querySelector('#calls details').open")
        assert "ready, load" in await tab.run(TEXT)

        # drained by keyboard; what happens elsewhere is seen too, told, and moves neither focus nor what is open
        frames = int(await tab.run("document.body.dataset.frames"))
        button = (
            "[...document.querySelectorAll('.act button')].find(e => e.getAttribute('aria-label').endsWith('east'))"
        )
        await tab.run(f"{button}.focus()")
        await tab.press("Enter", 13)
        await tab.until(f"{button}.textContent === 'Undrain'")
        assert router.drained_deployments() == {"east"}
        assert await tab.run(f"document.activeElement === {button}")
        assert await tab.run("document.getElementById('news').textContent") == "east is now: drained"
        router.undrain_deployment("east")
        router._pool.impose("west", "breaker", 60.0)
        await tab.until(f"{button}.textContent === 'Drain' && {TEXT}.includes('breaker open')")
        assert "tested in 60 s" in await tab.run(TEXT) or "tested in 59 s" in await tab.run(TEXT)
        assert int(await tab.run("document.body.dataset.frames")) > frames
        assert await tab.run("document.querySelector('#calls details').open")

        # a phone, and the dark
        await tab.look(360, 740, dark=True)
        assert await tab.run("document.documentElement.scrollWidth") <= 360
        assert await tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 24)"
        assert (await tab.picture()).startswith(b"\x89PNG")
        await tab.look(1280, 800)
        assert await tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(245, 245, 242)"

        # what a screen reader finds
        tree = (await tab.tell("Accessibility.getFullAXTree"))["nodes"]
        found = {(each["role"]["value"], each.get("name", {}).get("value", "")) for each in tree if "role" in each}
        for wanted in (("button", "Drain east"), ("columnheader", "Share"), ("rowheader", "east openai · gpt-4o")):
            assert wanted in found, sorted(found)
        assert {"table", "main", "status", "heading"} <= {role for role, _ in found}

        await tab.run("document.getElementById('forget').click()")
        await tab.until("document.activeElement.id === 'key'")
        assert await tab.run("sessionStorage.length") == 0
        expected = "401"  # the browser's own words on the two refusals
        assert [each for each in tab.complaints if expected not in each] == []
