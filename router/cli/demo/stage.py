"""The play: four deployments, many conversations, one death and one return."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

from rich.console import Console

from providers.simulated import Behaviour, SimulatedUpstream, State
from router.cli.demo.score import Score
from router.cli.demo.screen import Screen
from router.cli.demo.traffic import GROUP, converse
from router.router import Router

_ACCOUNTS = {"east": "contoso", "west": "contoso", "north": "fabrikam", "south": "tailspin"}
_BEHAVIOURS = {
    "east": Behaviour(latency=0.08, jitter=0.04, tokens=14, token_delay=0.008),
    "west": Behaviour(latency=0.10, jitter=0.04, tokens=14, token_delay=0.008),
    "north": Behaviour(latency=0.16, jitter=0.08, tokens=14, token_delay=0.010),
    "south": Behaviour(latency=0.12, jitter=0.06, tokens=14, token_delay=0.008),
}
_VICTIM = "east"
_DEATH, _RETURN = 0.35, 0.65
"""Fractions of the time."""
_PATIENCE = 30.0
"""Seconds for conversations to end once the time is over; none takes longer."""
_GRACE = 60.0
"""Seconds the play may go on to see the return of the one that died, on a machine that is slow today."""


async def play(console: Console, seconds: float, conversations: int, strategy: str, *, live: bool) -> Score:
    """Play for `seconds`, with that many conversations at once, shown on `console`; the final score."""
    clock = asyncio.get_running_loop().time
    score = Score(_ACCOUNTS, clock)

    def playing() -> bool:
        late = clock() - began - seconds
        return late < 0 or (late < _GRACE and not score.returned.is_set())

    async with _deployments() as upstreams, _router(upstreams, strategy, seconds) as router:
        began = clock()
        screen = Screen(console, router, score, clock, live=live)
        showing = asyncio.create_task(screen.show())
        try:
            async with asyncio.timeout(seconds + _GRACE + _PATIENCE), asyncio.TaskGroup() as group:
                for number in range(conversations):
                    rng = random.Random(number)
                    group.create_task(converse(router, score, rng, playing))
                group.create_task(_drama(upstreams[_VICTIM], score, screen, began, seconds))
        finally:
            showing.cancel()
            with suppress(asyncio.CancelledError):
                await showing
    return score


async def _drama(victim: SimulatedUpstream, score: Score, screen: Screen, began: float, seconds: float) -> None:
    """Kill the victim, and bring it back with all it remembers."""
    alive, clock = victim.behaviour, score.clock
    screen.say(f"Four deployments; {_VICTIM} and west share an account, so each holds the other's conversations.")
    await asyncio.sleep(began + seconds * _DEATH - clock())
    earlier = victim.calls
    victim.behaviour = replace(alive, fault="hang")  # an answer that has begun cannot move: let those end
    await victim.until(lambda: victim.active_requests <= victim.calls - earlier, timeout=_PATIENCE)
    victim.behaviour = replace(alive, fault="refuse")
    screen.say(f"{_VICTIM} is dead. What it was about to answer moves on; its conversations go on at west.")
    await asyncio.sleep(began + seconds * _RETURN - clock())
    victim.behaviour, score.awaited, back = alive, _VICTIM, clock()
    screen.say(f"{_VICTIM} is back. Its breaker lets a probe through, then its share grows again.")
    with suppress(TimeoutError):
        async with asyncio.timeout(began + seconds + _GRACE - back):
            await score.returned.wait()
        screen.say(f"{_VICTIM} serves again, {clock() - back:.1f} s after its return.")


@asynccontextmanager
async def _deployments() -> AsyncIterator[dict[str, SimulatedUpstream]]:
    """The simulated deployments by name; those of one account remember together."""
    memory = {account: State() for account in _ACCOUNTS.values()}
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(
                SimulatedUpstream(name, behaviour=_BEHAVIOURS[name], state=memory[account], seed=1)
            )
            for name, account in _ACCOUNTS.items()
        }


def _router(upstreams: dict[str, SimulatedUpstream], strategy: str, seconds: float) -> Router:
    """A Router over the deployments, as a user would build it."""
    entries: Sequence[dict[str, object]] = [
        {
            "model_name": GROUP,
            "litellm_params": {"model": "openai/gpt", "api_base": f"{upstream.url}/v1", "api_key": "any"},
            "model_info": {"id": name, "account": _ACCOUNTS[name]},
        }
        for name, upstream in upstreams.items()
    ]
    return Router(
        entries,
        routing_strategy=strategy,
        optional_pre_call_checks=["responses_api_deployment_check"],
        cooldown_time=max(0.1, seconds / 20),
    )
