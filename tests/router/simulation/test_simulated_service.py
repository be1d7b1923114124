"""How long simulated deployments take, who serves, what is told beside the figures."""

import asyncio
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces import AFFINITY, BEGAN, attempt, call, config, entries, failed, near, simulated, under

import router
from providers.errors import ConfigurationError
from providers.types import Deployment
from providers.usage import Cost, TokenUsage
from router import Simulation, simulate
from router.pricing.prices import Prices
from router.simulation.chance import draw
from router.simulation.figures import Percentiles
from router.simulation.past import Past, Service
from router.simulation.replay import Replay


def test_where_nothing_changes_calls_take_what_they_took() -> None:
    calls = [call(index, took=1 + index / 10, first=0.25 if index % 2 else None) for index in range(20)]
    found = simulated(calls, config(entries("a")))
    assert found.recorded.latency == Percentiles(1.9, 2.7, 2.9)
    assert found.simulated[0].latency == near(1.9, 2.7, 2.9)
    assert found.simulated[0].first_output == near(0.25)
    assert found.simulated[0].shares == {"a": 20}
    assert found.notes == ()


def test_shares_follow_weights() -> None:
    calls = [call(index / 10, "a" if index % 2 else "b") for index in range(400)]
    found = simulated(
        calls,
        config(entries("a", "b", a={"weight": 3}, b={"weight": 1}), routing_strategy="weighted"),
        config(entries("a", "b", a={"weight": 1}, b={"weight": 3}), routing_strategy="weighted"),
    )
    first, second = found.simulated
    assert found.recorded.shares == {"a": 200, "b": 200}
    assert first.shares == {"a": 300, "b": 100}
    assert second.shares == {"b": 300, "a": 100}
    assert [each.name for each in found.simulated] == ["config 1", "config 2"]


def test_a_deployment_that_is_removed_serves_no_more() -> None:
    calls = [call(index, "ab"[index % 2], took=1 if index % 2 else 3) for index in range(40)]
    found = under(calls, entries("b"))
    assert found.shares == {"b": 40}
    assert found.latency == near(1, 1, 1)


@pytest.mark.parametrize(
    ("params", "like"),
    [
        ({}, "others of openai/gpt-4o"),
        ({"model": "openai/o9"}, "the group gpt"),
    ],
)
def test_one_that_the_trace_does_not_know_is_like_others(params: dict[str, str], like: str) -> None:
    calls = [call(index, took=2) for index in range(10)]
    found = simulated(calls, config(entries("new", **params)))
    assert found.simulated[0].shares == {"new": 10}
    assert found.simulated[0].latency == near(2)
    assert found.notes == (f"new is not in the trace, and simulated like {like}",)


def test_one_of_another_group_is_like_all_others_or_like_none() -> None:
    other = [{**each, "model_name": "claude"} for each in entries("new", model="openai/o9")]
    calls = [call(0, took=2, model="claude"), call(1, took=2, model="claude")]
    found = simulated(calls, config(other))
    assert found.notes == ("new is not in the trace, and simulated like all others",)
    nobody = simulated([failed(0, attempt("a", 1, "InternalServerError"))], config(entries("new")))
    assert nobody.notes == (
        "new is not in the trace, and simulated like 1 s, as the trace has no call that was served",
    )
    assert nobody.simulated[0].latency == near(1)


def test_longer_output_takes_longer_by_the_pace_of_the_deployment() -> None:
    # b streams a token in 0.01 s after 0.5 s; a's call is twice as long
    calls = [call(index, "b", took=1.5, first=0.5, tokens=(10, 100)) for index in range(8)]
    calls.append(call(9, "a", took=9, first=1, tokens=(10, 200)))
    found = under(calls, entries("b"))
    assert found.latency == near(1.5, 2.5, 2.5)
    assert found.first_output == near(0.5)


def test_the_pace_of_what_is_never_streamed_is_that_of_longer_answers() -> None:
    past = Past([(float(index), Service(1, 1 + index / 10, TokenUsage(0, 10 * index))) for index in range(10)])
    past.settle()
    assert past.pace == pytest.approx(0.01)
    assert past.service(5, TokenUsage(0, 1000), 0).total == pytest.approx(11)
    same = Past([(0.0, Service(1, 1)), (1.0, Service(1, 2))])
    same.settle()
    assert same.pace == 0
    single = Past([(0.0, Service(1, 1, TokenUsage(0, 5)))])
    single.settle()
    assert single.pace == 0
    assert single.service(0, None, 0.5).usage == TokenUsage(0, 5)


@given(st.floats(0, 1, exclude_max=True), st.floats(-100, 100), st.integers(1, 50))
def test_what_is_drawn_is_something_that_was_there_at_about_the_time(chance: float, at: float, number: int) -> None:
    past = Past([(float(index), Service(1, float(index))) for index in range(number)])
    drawn = past.service(at, None, chance).total
    assert abs(drawn - min(max(at, 0), number - 1)) <= 33


@given(st.integers(), st.text("ab é\ud800"), st.integers())  # of all of Unicode, texts take seconds to make
def test_chance_is_the_same_each_time_and_below_one(seed: int, name: str, number: int) -> None:
    assert 0 <= draw(seed, name, number) < 1
    assert draw(seed, name, number) == draw(seed, name, number)


def test_a_follow_up_does_not_come_before_what_it_goes_on_from() -> None:
    # a answers in 1 s, and its caller goes on a second later; b takes 30 s
    calls = [
        call(0, "b", took=30),
        call(10, "a", response_id="r1"),
        call(12, "a", previous_response_id="r1", response_id="r2"),
    ]
    found = simulated(calls, config(entries("b")))
    times = {line["call"]: line["at"] for line in map(json.loads, found.decisions.splitlines())}
    assert times[1] == pytest.approx(10)
    assert times[2] == pytest.approx(40, abs=0.001)


def test_callers_who_left_leave_again() -> None:
    left = call(0, took=2, first=0.5, status="abandoned")
    gone = call(1, took=0.75, status="cancelled")
    found = simulated([left, gone, call(2, took=5, first=1)], config(entries("a")))
    assert found.recorded.left == found.simulated[0].left == 2
    assert found.simulated[0].failures == 0
    assert "left by their callers" in str(found)


def test_what_is_no_creation_of_a_response_is_left_out_and_said() -> None:
    calls = [call(0), call(1, verb="get"), call(2, verb="delete")]
    found = simulated(calls, config(entries("a")))
    assert found.recorded.calls == found.simulated[0].calls == 1
    assert found.notes == ("calls that are not replayed, as only those that create responses are: 2",)


def test_what_never_was_a_call_is_said() -> None:
    found = simulated([call(0), call(1, model="")], config(entries("a")))
    assert found.simulated[0].calls == 1
    assert found.notes == ("calls that are not in the figures, as their arguments were wrong from the start: 1",)


def test_a_group_that_there_is_not_any_more() -> None:
    found = under([call(0), call(1, model="gone")], entries("a"))
    assert found.errors == {"UnknownModelError": 1}
    assert found.calls == 2


def test_costs_are_those_of_the_model_that_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str, float]] = []

    def cost(
        self: Prices, usage: TokenUsage, deployment: Deployment, *, model: str, service_tier: str | None, at: float
    ) -> Cost:
        asked.append((usage.input_tokens, f"{deployment.id} {model} {service_tier}", at))
        return Cost(None, "unknown") if usage.input_tokens == 3 else Cost(usage.total_tokens / 1000)

    monkeypatch.setattr(Prices, "cost", cost)
    calls = [
        call(0, tokens=(100, 50), cost=0.5, service_tier="flex"),
        call(7, tokens=(200, 50), cost=0.25),
        call(9, tokens=(3, 5), first=0.5),
    ]
    found = simulated(calls, config(entries("a")))
    assert (found.recorded.cost, found.recorded.unpriced) == (0.75, 1)
    assert found.simulated[0].cost == pytest.approx(0.4)
    assert found.simulated[0].unpriced == 1
    assert [f"{given} {what}" for given, what, _ in asked] == [
        "100 a gpt-4o-2024-08-06 flex",
        "200 a gpt-4o-2024-08-06 None",
        "3 a gpt-4o-2024-08-06 None",
    ]
    assert [at for *_, at in asked] == pytest.approx([BEGAN, BEGAN + 7, BEGAN + 9])


def test_tags_and_limits_of_output_reach_the_checks() -> None:
    tagged = entries("a", "b", a={"tags": ["eu"]}, b={"tags": ["us"]})
    calls = [call(index, "a", tags=("us",), max_output_tokens=100, tenant="t", end_user="u") for index in range(5)]
    assert under(calls, tagged, optional_pre_call_checks=["tags"]).shares == {"b": 5}
    narrow = entries("a", tpm=160)
    found = under(calls, narrow, optional_pre_call_checks=["rate_limit"])
    assert found.limited_callers, "100 tokens of input and 100 of output are more than 160"


def test_the_size_of_the_input_is_that_of_the_trace_without_what_was_said_before() -> None:
    calls = [
        call(0, response_id="r", tokens=(1000, 50)),
        call(5, previous_response_id="r", tokens=(1100, 50)),
        call(9, tokens=(3000, 50)),
    ]
    checks = [*AFFINITY["optional_pre_call_checks"], "context_window"]
    found = under(calls, entries("a", max_input_tokens=2000), optional_pre_call_checks=checks)
    assert found.errors == {"ContextWindowExceededError": 1}
    assert under(calls, entries("a", max_input_tokens=900), optional_pre_call_checks=checks).failures == 2


async def test_it_can_be_asked_for_in_a_running_event_loop() -> None:
    asyncio.get_running_loop()
    assert under([call(0)], entries("a")).calls == 1
    with pytest.raises(ConfigurationError, match="weigth"):
        under([call(0)], entries("a", weigth=3))


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    calls = [call(index / 10) for index in range(250)]
    simulate(calls, config(entries("a")), progress=lambda *news: told.append(news))
    assert told == [("simulated", begun, 250) for begun in (0, 100, 200, 250)]


def test_the_result_is_data_and_reads_well() -> None:
    found = simulated([call(0, took=0.5, first=0.25), call(1)], config(entries("a", "b")), config(entries("b")))
    data = found.to_dict()
    assert data["recorded"]["latency"] == {"p50": 0.5, "p90": 1.0, "p99": 1.0}
    assert [each["name"] for each in data["simulated"]] == ["config 1", "config 2"]
    assert data["seed"] == 0
    assert repr(found) == "<Simulation of 2 calls under config 1, config 2>"
    assert isinstance(found, Simulation)


def test_what_was_replayed_is_not_put_into_words_by_whoever_names_its_task() -> None:
    assert len(repr(Replay((call(0),), (b"x" * 1000,), ()))) < 200


def test_nothing_of_it_is_loaded_before_it_is_asked_for() -> None:
    code = "import router, sys; print('router.simulation' in sys.modules, 'matplotlib' in sys.modules); router.simulate"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "False"]
    assert router.Simulation is Simulation
    misspelt = "simulat"
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        getattr(router, misspelt)
