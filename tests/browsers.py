"""A real browser for tests: Debian's Chromium without a window, told what to do by its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""Where it is; None if there is none."""
PATIENCE = 20.0
"""Seconds after which it is given up."""
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--remote-debugging-port=0",
)  # fmt: skip


class Tab:
    """One page that is shown."""

    def __init__(self, wire: aiohttp.ClientWebSocketResponse) -> None:
        self._wire = wire
        self._numbers = count(1)
        self.complaints: list[str] = []
        """What went wrong in the page: exceptions, and what its policy refused."""

    async def tell(self, method: str, **params: Any) -> Any:
        """Have it do something; what came of it."""
        number = next(self._numbers)
        await self._wire.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self._wire.receive_json()
                if message.get("id") == number:
                    assert "error" not in message, (method, message["error"])
                    return message["result"]
                if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                    self.complaints.append(str(message["params"]))

    async def run(self, code: str) -> Any:
        """The value of an expression in the page."""
        done = await self.tell("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    async def until(self, code: str) -> Any:
        """Wait until an expression in the page is true; its value."""
        async with asyncio.timeout(PATIENCE):
            while not (value := await self.run(code)):  # noqa: ASYNC110 - the page tells nobody
                await asyncio.sleep(0.02)
        return value

    async def open(self, url: str) -> None:
        """Show another page."""
        await self.tell("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def press(self, key: str, code: int) -> None:
        """A key, down and up."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.tell("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    async def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """See it in a window of this size, with these colours."""
        await self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.tell("Emulation.setEmulatedMedia", features=features)

    async def picture(self) -> bytes:
        """What is to be seen of all of it, as PNG."""
        taken = await self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(taken["data"])


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Tab]:
    """A tab of a browser that keeps what it writes in the empty folder `profile`."""
    assert CHROMIUM is not None, "there is no Chromium"
    process = subprocess.Popen(  # noqa: ASYNC220 - a start takes no time
        [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tabs = await answer.json()
            target = next(each["webSocketDebuggerUrl"] for each in tabs if each["type"] == "page")
            async with session.ws_connect(target, max_msg_size=0) as wire:
                tab = Tab(wire)
                for domain in ("Page", "Runtime", "Log"):
                    await tab.tell(f"{domain}.enable")
                yield tab
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def _port(file: Path) -> int:
    async with asyncio.timeout(PATIENCE):
        while True:
            lines = _lines(file)
            if len(lines) >= 2:
                return int(lines[0])
            await asyncio.sleep(0.02)
