"""What a check is: by default it does nothing at all."""

from __future__ import annotations

import pytest

from checks import Appeared, Failed, Finished, Home, Leaning, PreCallCheck, Preferred, Started
from providers.errors import RateLimitError
from providers.types import Affinity, Call, Deployment, HomePolicy, JsonObject
from providers.views import Event, Response

EAST, WEST = Deployment("east", "gpt", "openai", "m"), Deployment("west", "gpt", "openai", "m")


async def test_a_check_that_overrides_nothing_changes_nothing() -> None:
    check, call, deployments = PreCallCheck(), Call("gpt"), (EAST, WEST)
    assert await check.eligible(call, deployments) is deployments
    assert await check.preview(call, deployments) is deployments
    assert await check.answer(call) is None
    assert check.prepare(call, EAST) is call
    json: JsonObject = {"id": "resp_1"}
    assert check.present(call, EAST, json) is json
    assert await check.rescue(call, RateLimitError("no")) is None
    check.accept(deployments)
    assert check.reserve(call, EAST, 0.0) == 0.0
    check.release(call, EAST)
    for outcome in (
        Started("resp_1"),
        Appeared(Event({})),
        Finished(Response({})),
        Finished(None),
        Failed(RateLimitError("no")),
    ):
        await check.observe(call, EAST, outcome)
    await check.aclose()


@pytest.mark.parametrize("kind", [Preferred, Leaning, Home])
def test_what_a_choice_means_is_in_its_type(kind: type[Preferred | Leaning | Home]) -> None:
    chosen = kind((WEST, EAST))
    assert list(chosen) == [WEST, EAST]
    assert chosen == (WEST, EAST)
    assert not kind(())
    assert [isinstance(chosen, each) for each in (Preferred, Leaning, Home)].count(True) == 1


def test_a_home_says_how_it_was_found_and_what_follows_if_it_is_lost() -> None:
    plain = Home(iter([EAST]))
    assert (plain.affinity, plain.policy) == (None, HomePolicy())
    home = Home((EAST,), Affinity("home", "east"), HomePolicy("fail"))
    assert (home.affinity, home.policy) == (Affinity("home", "east"), HomePolicy("fail"))
