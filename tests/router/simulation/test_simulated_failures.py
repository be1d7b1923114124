"""Outages, errors and rate limits of a trace, met again."""

import pytest
from traces import attempt, call, config, entries, failed, simulated, under

from providers.errors import APITimeoutError, InternalServerError, RateLimitError
from router.simulation.failures import Failure, kind_of
from router.simulation.past import Past, Service


def test_an_outage_lasts_as_long_as_it_did_and_ends() -> None:
    # a is down from 100 s to 200 s, of which the trace shows a few attempts, as its breaker was open
    down = [failed(at, attempt("a", 0.01, "InternalServerError")) for at in (100, 101, 150, 199)]
    calls = [call(at, "a") for at in range(99)] + down + [call(at, "a") for at in range(201, 300)]
    calls += [call(at + 0.5, "b", took=3) for at in range(300)]
    found = simulated(calls, config(entries("a")), config(entries("a", "b")))
    alone, both = found.simulated
    during = [line for line in found.decisions.splitlines() if b'"config":"config 1"' in line and b'"failed"' in line]
    assert alone.failures > 50
    assert set(alone.errors) == {"InternalServerError"}
    times = [float(line.split(b'"at":')[1].split(b",")[0]) for line in during]
    assert 99 < min(times) < 101
    assert 195 < max(times) < 201
    assert both.failures == 0
    assert both.retries > 0
    assert both.shares["b"] > 90


def test_the_nearest_attempt_says_what_is_met() -> None:
    down = Failure(InternalServerError, 500, None, 0.1)
    past = Past([], [(10.0, None), (20.0, down), (40.0, None)])
    assert [past.failure(at) for at in (0, 14.9, 15.1, 20, 29.9, 30.1, 99)] == [
        None,
        None,
        down,
        down,
        down,
        None,
        None,
    ]
    assert Past().failure(5) is None


def test_failures_keep_their_class_and_status() -> None:
    calls = [failed(0, attempt("a", 0.5, "ServiceUnavailableError", status=529), error_status=529), call(100)]
    found = simulated(calls, config(entries("a"), num_retries=0))
    assert found.simulated[0].errors == {"ServiceUnavailableError": 1}
    assert kind_of("Unheard") is InternalServerError
    assert kind_of(None) is InternalServerError
    assert kind_of("HomeLostError") is None
    assert Failure(RateLimitError, 429, "slow_down", 1).error(3).retry_after == 3


def test_a_deployment_that_hung_hangs_for_as_long_as_one_waits() -> None:
    calls = [failed(0, attempt("a", 60, "APITimeoutError")), call(0.2, "b"), call(300, "a"), call(301, "b")]
    found = under(calls, entries("a", "b", a={"order": 1}, b={"order": 2}), timeout=5)
    assert found.failures == 0
    assert found.latency is not None
    assert found.latency.p99 == pytest.approx(6, abs=0.1)


def test_answers_that_would_have_come_too_late_are_timeouts() -> None:
    found = under([call(0, took=20)], entries("a"), timeout=5, num_retries=0)
    assert found.errors == {APITimeoutError.__name__: 1}


def test_a_stream_that_broke_off_breaks_off_again() -> None:
    broken = failed(0, attempt("a", 0.5, "StreamInterruptedError"), stream=True, first_event=0.5, duration=2)
    found = simulated([broken, call(100)], config(entries("a")))
    assert found.simulated[0].errors == {"StreamInterruptedError": 1}
    assert found.simulated[0].retries == 0


def test_what_was_wrong_with_a_call_is_wrong_with_it_again() -> None:
    calls = [
        failed(0, attempt("a", 0.1, "BadRequestError", status=400)),
        call(0.1, "b", before=[attempt("a", 0.1, "ContentPolicyViolationError", status=400)]),
        call(0.2, "a"),
    ]
    assert under(calls, entries("b")).errors == {"BadRequestError": 1}
    both = under(calls, entries("a"))
    assert both.errors == {"BadRequestError": 1, "ContentPolicyViolationError": 1}


def test_what_the_router_refused_is_for_the_router_to_refuse_again() -> None:
    calls = [failed(0, attempt("a", 0.1, "PreviousResponseNotFoundError", status=400)), call(1)]
    assert under(calls, entries("a")).failures == 0


def test_configured_limits_are_kept_by_the_deployment() -> None:
    calls = [call(index, "a", took=0.1) for index in range(60)]
    limited = entries("a", rpm=10)
    found = under(calls, limited, num_retries=0, on_all_down="fail")
    assert found.shares["a"] <= 20
    assert found.limited_upstream >= 1
    assert found.limited_callers >= 1
    by_tokens = under(calls, entries("a", tpm=1500), num_retries=0)  # of 150 tokens each
    assert by_tokens.limited_upstream >= 1
    assert under(calls, entries("a", rpm=60), num_retries=0).limited_upstream == 0
    assert under(calls[:3], entries("a", tpm=10), num_retries=0).shares["a"] < 3, "a large one is let through alone"


def test_two_limits_are_shared_out() -> None:
    calls = [call(index, "ab"[index % 2], took=0.1) for index in range(120)]
    found = under(calls, entries("a", "b", rpm=30))
    assert found.failures == 0
    assert found.shares == {"a": 60, "b": 60}


def test_too_many_then_are_too_many_now() -> None:
    calls = [call(index, "a", took=0.1) for index in range(30)]
    calls += [failed(30 + index, attempt("a", 0.05, "RateLimitError", status=429)) for index in range(5)]
    calls += [call(index + 0.5, "b", took=0.1) for index in range(35)]
    found = simulated(
        calls,
        config(entries("a"), num_retries=0),
        config(entries("a", "b", a={"weight": 1}, b={"weight": 3}), routing_strategy="weighted", num_retries=0),
        config(entries("a", rpm=1000), num_retries=0),
    )
    all_to_a, few_to_a, told_otherwise = found.simulated
    assert found.recorded.limited_upstream == found.recorded.limited_callers == 5
    assert all_to_a.limited_upstream > 5
    assert few_to_a.limited_upstream == 0
    assert told_otherwise.limited_upstream == 0


def test_the_most_that_one_took_is_known_if_it_ever_refused() -> None:
    served = [(float(at), Service(1, 1)) for at in (0, 10, 20, 200, 210)]
    assert Past(served, [(0.0, None)]).most is None
    limited = Failure(RateLimitError, 429, None, 0.1)
    assert Past(served, [(0.0, limited)]).most == 3
    assert Past([], [(0.0, limited)]).most == 0


def test_fallbacks_are_counted() -> None:
    other = [{**each, "model_name": "spare"} for each in entries("z")]
    calls = [failed(0, attempt("a", 0.1, "InternalServerError")), call(0.1, "z", group="spare", model="spare")]
    found = under(calls, [*entries("a"), *other], fallbacks=[{"gpt": ["spare"]}], num_retries=0)
    assert found.fallbacks == 1
    assert found.shares == {"z": 2}
