"""What is tried after a failure: the plan's rules, one by one."""

from dataclasses import replace

import pytest

from providers.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    HomeLostError,
    InsufficientQuotaError,
    InternalServerError,
    ModelNotFoundError,
    NoDeploymentError,
    PreviousResponseNotFoundError,
    RateLimitError,
    RequestTooLargeError,
    ResponseNotFoundError,
    UnprocessableEntityError,
)
from providers.types import Verb
from router.plan import MAX_ATTEMPTS, Failure, Plan, Policy, Target, shortage_error

DOWN = InternalServerError("down")


def plan(policy: Policy | None = None, verb: Verb = Verb.CREATE) -> Plan:
    return Plan(policy or Policy(), Target("gpt"), verb)


def after(start: Plan, *errors: APIError, at: str = "d", **how: object) -> Plan:
    """The plan after attempts on d0, d1, … failed with `errors`."""
    for index, error in enumerate(errors, start.sent):
        start = start.after(Failure(error, f"{at}{index}", **how))  # type: ignore[arg-type]  # Failure's own fields
    return start


@pytest.mark.parametrize(
    "error",
    [BadRequestError("x"), RequestTooLargeError("x"), UnprocessableEntityError("x"), ResponseNotFoundError("x")],
)
def test_the_callers_fault_ends_the_call(error: APIError) -> None:
    policy = Policy(default_fallbacks=(Target("other"),), fallbacks={"gpt": (Target("other"),)})
    with pytest.raises(type(error)) as raised:
        after(plan(policy), error)
    assert raised.value is error


def test_a_failure_moves_on_and_costs_a_retry() -> None:
    one = after(plan(), DOWN)
    assert (set(one.tried), one.retries, one.charged, one.wait) == ({"d0"}, 1, True, 0.0)
    two = after(one, APIConnectionError("gone"))
    assert (set(two.tried), two.retries) == ({"d0", "d1"}, 2)
    with pytest.raises(InternalServerError):
        after(two, DOWN)


@pytest.mark.parametrize(
    "error",
    [AuthenticationError("x"), ModelNotFoundError("x"), RateLimitError("x"), InsufficientQuotaError("x")],
)
def test_walking_on_is_free_when_asking_again_would_not_help(error: APIError) -> None:
    walked = after(plan(Policy(num_retries=1)), *[error] * (MAX_ATTEMPTS - 1))
    assert walked.retries == 0
    assert len(walked.tried) == MAX_ATTEMPTS - 1
    with pytest.raises(type(error)):
        after(walked, error)


def test_no_retries_means_one_request() -> None:
    for error in (DOWN, AuthenticationError("x"), RateLimitError("x")):
        with pytest.raises(type(error)):
            after(plan(Policy(num_retries=0)), error)


def test_a_probe_is_retried_for_free() -> None:
    assert after(plan(), DOWN, probe=True).retries == 0


def test_whose_number_of_retries_counts() -> None:
    policy = Policy(num_retries=5, retry_policy={"RateLimitErrorRetries": 1, "InternalServerErrorRetries": 0})
    assert policy.retries(RateLimitError("x"), None) == 1
    assert policy.retries(DOWN, 4) == 0, "the policy wins over the deployment"
    assert policy.retries(AuthenticationError("x"), 4) == 4, "the deployment wins over the Router"
    assert policy.retries(AuthenticationError("x"), None) == 5
    assert replace(policy, num_retries=9, insistent=True).retries(DOWN, 4) == 9, "the call wins over all"


def test_fallbacks_follow_in_order_and_never_twice() -> None:
    policy = Policy(
        num_retries=0,
        fallbacks={"gpt": (Target("a", {"temperature": 0}), Target("b")), "a": (Target("c"), Target("gpt"))},
    )
    to_a = after(plan(policy), DOWN)
    assert (to_a.target.group, to_a.target.overrides["temperature"]) == ("a", 0)
    assert (len(to_a.tried), to_a.sent) == (0, 0), "with a clean slate"
    to_c = after(to_a, DOWN)
    assert (to_c.target.group, to_c.target.overrides["temperature"]) == ("c", 0)
    to_b = after(to_c, DOWN)
    assert to_b.target.group == "b"
    assert to_b.visited == ("gpt", "a", "c")
    with pytest.raises(InternalServerError):
        after(to_b, DOWN)


def test_max_fallbacks_and_disable_fallbacks() -> None:
    policy = Policy(num_retries=0, default_fallbacks=(Target("a"), Target("b")))
    with pytest.raises(InternalServerError):
        after(plan(replace(policy, max_fallbacks=0)), DOWN)
    with pytest.raises(InternalServerError):
        after(after(plan(replace(policy, max_fallbacks=1)), DOWN), DOWN)
    with pytest.raises(InternalServerError):
        after(plan(replace(policy, disable_fallbacks=True)), DOWN)


def test_too_long_and_refused_turn_to_their_own_groups_only() -> None:
    policy = Policy(
        default_fallbacks=(Target("general"),),
        context_window_fallbacks={"gpt": (Target("large"),)},
        content_policy_fallbacks={"*": (Target("lenient"),)},
    )
    assert after(plan(policy), ContextWindowExceededError("x")).target.group == "large"
    assert after(plan(policy), ContentPolicyViolationError("x")).target.group == "lenient"
    with pytest.raises(ContextWindowExceededError):
        after(plan(Policy(default_fallbacks=(Target("general"),))), ContextWindowExceededError("x"))


def test_a_check_that_finds_nobody_turns_to_the_next_group() -> None:
    turned = plan(Policy(default_fallbacks=(Target("other"),))).after(Failure(NoDeploymentError("none")))
    assert turned.target.group == "other"


def test_a_conversation_never_leaves_home() -> None:
    policy = Policy(num_retries=0, default_fallbacks=(Target("other"),))
    with pytest.raises(HomeLostError):
        plan(policy).after(Failure(HomeLostError("gone")))
    with pytest.raises(InternalServerError):
        after(plan(policy), DOWN, at_home=True)
    with pytest.raises(ContextWindowExceededError):
        after(
            plan(replace(policy, context_window_fallbacks={"gpt": (Target("large"),)})),
            ContextWindowExceededError("x"),
            at_home=True,
        )


def test_a_home_gets_a_few_more_retries_if_any() -> None:
    assert [after(plan(Policy(num_retries=n)), DOWN, at_home=True).allowed for n in (1, 2)] == [4, 5]
    with pytest.raises(InternalServerError):
        after(plan(Policy(num_retries=0)), DOWN, at_home=True)
    assert after(plan(Policy(num_retries=1)), DOWN).allowed == 1


def test_to_wait_for_home_is_not_to_retry() -> None:
    for policy in (Policy(num_retries=0), Policy(num_retries=0, insistent=True)):
        for error in (DOWN, RateLimitError("busy"), APIConnectionError("gone")):
            assert after(plan(policy), error, at_home=True, home_wait=5).allowed == 3
            with pytest.raises(type(error)):
                after(plan(policy), error)
        with pytest.raises(APITimeoutError):
            after(plan(policy), APITimeoutError("late"), at_home=True, home_wait=5)
    slow = after(plan(Policy(num_retries=1)), APITimeoutError("late"), at_home=True, home_wait=5)
    assert slow.allowed == 4


def test_a_lost_home_ends_the_call_before_anything_was_sent_and_after() -> None:
    policy = Policy(fallbacks={"gpt": (Target("other"),)}, context_window_fallbacks={"gpt": (Target("large"),)})
    for start in (plan(policy), after(plan(policy), DOWN, at_home=True)):
        for error in (HomeLostError("gone"), NoDeploymentError("its breaker is open"), RateLimitError("busy")):
            with pytest.raises(type(error)) as raised:
                start.after(Failure(error, at_home=True))
            assert raised.value is error
    away = plan(policy).after(Failure(NoDeploymentError("none")))
    assert away.target.group == "other", "who has no home may go"


def test_nobody_waits_at_home_for_a_breaker_where_total_outages_fail() -> None:
    down = shortage_error("breaker", "gpt", 5, ())
    assert patience(plan(), "breaker", down, 5, at_home=True) == 5
    assert patience(plan(), "breaker", down, 61, at_home=True) is None
    assert patience(plan(Policy(wait_when_down=False)), "breaker", down, 5, at_home=True) is None
    elsewhere = Policy(default_fallbacks=(Target("other"),))
    assert patience(plan(elsewhere), "breaker", down, 5) is None
    assert patience(plan(elsewhere), "breaker", down, 5, at_home=True) == 5


def test_a_lagging_home_is_asked_again_there() -> None:
    missing = PreviousResponseNotFoundError("unknown")
    waits = []
    lagging = plan(Policy(num_retries=0))
    for _ in range(7):
        lagging = after(lagging, missing, at_home=True, slow_to_read=True)
        assert not lagging.tried, "home is asked again"
        waits.append(lagging.wait)
    with pytest.raises(PreviousResponseNotFoundError):
        after(lagging, missing, at_home=True, slow_to_read=True)
    assert 30 <= sum(waits) <= 40
    assert waits == sorted(waits)
    quick = after(after(plan(), missing, at_home=True), missing, at_home=True)
    with pytest.raises(PreviousResponseNotFoundError):
        after(quick, missing, at_home=True)
    with pytest.raises(PreviousResponseNotFoundError):
        after(plan(), missing, slow_to_read=True)


def test_a_stored_response_is_looked_for_elsewhere_unless_home_is_known() -> None:
    missing = ResponseNotFoundError("no such")
    assert after(plan(verb=Verb.GET), missing).tried == {"d0"}
    with pytest.raises(ResponseNotFoundError):
        after(plan(verb=Verb.GET), missing, at_home=True)


# waiting


def patience(start: Plan, kind: str, error: APIError, wait: float | None = None, **more: float | bool) -> float | None:
    return start.patience(kind, wait, error, **{"jitter": 0.5, "left": 60.0, **more})  # type: ignore[arg-type]


def test_asking_again_waits_with_jitter_within_the_deadline() -> None:
    failed = after(plan(), DOWN)
    assert patience(failed, "tried", DOWN) == pytest.approx(0.125)
    assert patience(failed, "tried", DOWN, left=0.1) is None
    assert patience(after(failed, DOWN), "tried", DOWN) == pytest.approx(0.25), "the ceiling doubles"
    assert after(plan(Policy(num_retries=99)), *[DOWN] * 9).ceiling() == 8.0, "and is capped"


def test_the_server_and_the_settings_may_ask_for_more() -> None:
    limited = RateLimitError("slow", retry_after=7)
    assert patience(after(plan(), limited), "tried", limited) == 7
    assert patience(after(plan(Policy(retry_after=3)), DOWN), "tried", DOWN) == 3


def test_with_another_group_in_sight_nobody_waits_long() -> None:
    policy = Policy(default_fallbacks=(Target("other"),))
    limited = RateLimitError("slow", retry_after=7)
    assert patience(after(plan(policy), limited), "tried", limited) is None
    assert patience(after(plan(policy), limited), "tried", limited, at_home=True) == 7
    assert patience(after(plan(policy), DOWN), "tried", DOWN) is not None
    assert patience(plan(policy), "quota", shortage_error("quota", "gpt", 5, ()), 5) is None
    assert patience(plan(), "quota", shortage_error("quota", "gpt", 5, ()), 5) == 5


def test_what_nobody_waits_for() -> None:
    assert patience(plan(), "empty", shortage_error("empty", "gpt", None, ())) is None
    assert patience(plan(), "quota", DOWN, 61) is None
    assert patience(plan(), "capacity", DOWN, left=0) is None
    for error in (AuthenticationError("x"), ModelNotFoundError("x"), InsufficientQuotaError("x"), BadRequestError("x")):
        assert patience(plan(), "tried", error) is None, "it would answer the same again"


def test_capacity_is_waited_for_as_long_as_there_is_time() -> None:
    assert patience(plan(), "capacity", DOWN, left=12) == 12


def test_waiting_for_the_same_one_costs_a_retry_once() -> None:
    limited = RateLimitError("slow", retry_after=1)
    walked = after(plan(Policy(num_retries=1)), limited)
    charged = walked.charge()
    assert (charged.retries, charged.charge()) == (1, charged)
    again = after(charged, limited)
    assert patience(again, "quota", limited, 1) is None, "the one retry is spent"
    assert plan().charge() == plan(), "the first attempt is not a retry"


def test_a_shortage_names_each_reason() -> None:
    reasons = tuple((f"d{i}", "open") for i in range(10))
    error = shortage_error("quota", "gpt", 2.0, reasons)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 2.0
    assert "d7: open and 2 more" in str(error)
    assert isinstance(shortage_error("breaker", "gpt", None, reasons[:1]), NoDeploymentError)
    assert "no deployments" in str(shortage_error("empty", "gpt", None, ()))
