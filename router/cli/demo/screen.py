"""What the demo shows: a table that lives, or plain lines where there is no terminal."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from router.cli.demo.score import Score
from router.pool import DeploymentHealth
from router.router import Router

_FRAME = 0.2
"""Seconds between two pictures of the table."""
_LINE = 2.0
"""Seconds between two plain lines."""
_BAR = 8
"""Characters of a full share. With these widths the table fits 80 columns, and stands still."""
_SHARE = _BAR + len(" 100%")
_NAME = len("north")
_ROOMY = 78
"""Columns from which accounts and bars are shown."""
_BREAKER = len("open 10.0 s")
_STYLES = {"closed": "green", "open": "red", "half-open": "yellow", "ramping": "yellow"}


class Screen:
    """Draws the state of the demo again and again until it is cancelled."""

    def __init__(
        self, console: Console, router: Router, score: Score, clock: Callable[[], float], *, live: bool
    ) -> None:
        self._console = console
        self._router = router
        self._score = score
        self._clock = clock
        self._began = clock()
        self._live = live
        self._said: deque[str] = deque(maxlen=5)

    def say(self, words: str) -> None:
        """Tell what happens now."""
        line = f"{self._clock() - self._began:5.1f} s  {words}"
        self._said.append(line)
        if not self._live:
            self._console.print(line, soft_wrap=True)

    async def show(self) -> None:
        """Draw until cancelled; the last picture stays."""
        if not self._live:
            while True:
                await asyncio.sleep(_LINE)
                self._console.print(self.line(), soft_wrap=True)
        with Live(console=self._console, auto_refresh=False) as picture:
            try:
                while True:
                    picture.update(self.picture(), refresh=True)
                    await asyncio.sleep(_FRAME)
            finally:
                picture.update(self.picture(), refresh=True)

    def line(self) -> str:
        """The state in one line."""
        shares = self._score.shares()
        parts = [f"{each.id} {shares[each.id]:4.0%} {_breaker(each)}" for each in self._health()]
        return f"{self._clock() - self._began:5.1f} s  {' | '.join(parts)} | {_totals(self._score)}"

    def picture(self) -> Group:
        """The state as a table, what happened, and the totals."""
        table = Table(box=box.SIMPLE, padding=0)  # the box parts the columns by a space
        roomy = self._console.width >= _ROOMY
        widths = {"": _NAME, "account": None, "share (2 s)": _SHARE} if roomy else {"": _NAME, "share": len("100%")}
        for heading, width in widths.items():
            table.add_column(heading, no_wrap=True, min_width=width)
        for heading in ("served", "in\nflight", "latency"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("breaker", no_wrap=True, min_width=_BREAKER)
        for heading in ("pins\nkept", "failed"):
            table.add_column(heading, justify="right", no_wrap=True)
        shares = self._score.shares()
        for each in self._health():
            table.add_row(*self._row(each, shares[each.id], roomy=roomy))
        said = [Text(line) for line in self._said]
        return Group(table, Text(_totals(self._score), style="bold"), *said)

    def _row(self, each: DeploymentHealth, share: float, *, roomy: bool) -> tuple[str | Text, ...]:
        score = self._score
        first = (score.accounts[each.id], f"{'█' * round(share * _BAR)} {share:.0%}") if roomy else (f"{share:.0%}",)
        return (
            each.id,
            *first,
            f"{score.served[each.id]:,}",
            str(each.in_flight),
            "" if each.latency is None else f"{each.latency * 1000:.0f} ms",
            Text(_breaker(each), style=_STYLES[each.state]),
            f"{score.pins[each.id]:,}",
            f"{score.failed[each.id]:,}",
        )

    def _health(self) -> list[DeploymentHealth]:
        order = list(self._score.accounts)
        return sorted(self._router.health(), key=lambda each: order.index(each.id))


def summary(score: Score) -> Text:
    """How it ended, in a few lines."""
    text = Text("\n")
    text.append(f"{score.calls:,} calls in {score.conversations:,} conversations.\n")
    text.append(f"Follow-ups that came home: {score.came_home:,}/{score.follow_ups:,}")
    text.append(f" ({score.by_twin:,} of them to the other deployment of the account).\n")
    text.append(f"Failed attempts made good elsewhere: {score.moved:,}. Errors: {len(score.errors):,}.\n")
    if not score.returned.is_set():
        text.append("The deployment that died has not served again.\n")
    for error in score.errors[:5]:
        text.append(f"  {error}\n")
    text.append("All went well." if score.well else "Not all went well.", style="green" if score.well else "red")
    return text


def _breaker(each: DeploymentHealth) -> str:
    return f"open {each.open_for:.1f} s" if each.state == "open" else each.state


def _totals(score: Score) -> str:
    return (
        f"calls {score.calls:,}, follow-ups home {score.came_home:,}/{score.follow_ups:,}, "
        f"failovers {score.moved:,}, errors {len(score.errors):,}"
    )
