"""What a check is: by default it does nothing at all."""

from __future__ import annotations

from checks import Failed, Finished, Home, PreCallCheck, Preferred, Started
from providers.errors import RateLimitError
from providers.types import Call, Deployment
from providers.views import Response

EAST, WEST = Deployment("east", "gpt", "openai", "m"), Deployment("west", "gpt", "openai", "m")


async def test_a_check_that_overrides_nothing_changes_nothing() -> None:
    check, call, deployments = PreCallCheck(), Call("gpt"), (EAST, WEST)
    assert await check.eligible(call, deployments) is deployments
    assert check.prepare(call, EAST) is call
    assert check.reserve(call, EAST, 0.0) == 0.0
    check.release(call, EAST)
    for outcome in (Started("resp_1"), Finished(Response({})), Finished(None), Failed(RateLimitError("no"))):
        await check.observe(call, EAST, outcome)
    await check.aclose()


def test_an_order_of_preference_is_a_sequence() -> None:
    for kind in (Preferred, Home):
        order = kind((WEST, EAST))
        assert list(order) == [WEST, EAST]
        assert order == (WEST, EAST)
    assert not kind(())
    assert not isinstance(Preferred(()), Home)
