"""Where a call would go, and why: asked without sending it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from checks.affinity.ties import ties
from checks.base import Home, Leaning, PreCallCheck, Preferred
from providers.decisions import Cause, Considered
from providers.errors import APIError, NoDeploymentError
from providers.types import Call, Deployment
from router.deciding import GONE
from router.plan import Failure, Plan
from router.pool import Pool, Prospect, Wish
from router.run import Place, overriding


@dataclass(frozen=True, slots=True)
class Option:
    """One deployment of the group."""

    deployment_id: str
    may_serve: bool
    """Whether the checks let it."""
    usable: bool
    """Whether it may serve, and neither its breaker, its rate limit, its parallel requests nor deployments of a lower
    tier keep it out now. Of one that would be tested, or tried as all breakers are open, True all the same."""
    reason: str
    """What leaves it out, or `ready`. The words are those of a `RouteDecision`."""
    dialect: str = "responses"
    """What it speaks. One that does not speak `responses` keeps no conversation by itself."""
    cause: Cause | None = field(default=None, compare=False)
    """The reason in one word; None if it is ready."""
    score: float | None = field(default=None, compare=False)
    """What the call would weigh there (`Candidate.load`): less is better. None if it is left out."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a call would go now."""

    model_group: str
    ties: tuple[str, ...]
    """What ties it to a deployment: where it stands in the call, what it is, and whether it is hard or soft."""
    home: str | None
    """Id of the deployment that holds its conversation, where that is remembered."""
    options: tuple[Option, ...]
    """Every deployment of the group, or the one asked for by its id."""
    error: APIError | None = None
    """What a check refuses it with."""
    preferred: tuple[str, ...] = ()
    """Ids of the deployments that it goes to while they aren't busier than others; empty if it prefers none."""
    candidates: tuple[str, ...] = ()
    """Ids of those that its deployment would be picked from: the usable ones, or one alone that is due for a test or
    comes first in a check's order, or those preferred. Empty: nobody can be had now."""
    strategy: str | None = None
    """Class of the strategy that would pick, or of the check whose order binds it; None: it does not come to that."""
    probe: bool = False
    """Whether it would test a deployment whose breaker is open."""
    forced: bool = False
    """Whether it would be tried though all breakers are open (`on_all_down="try"`)."""
    order: int | None = None
    """The `order` of the candidates."""
    standby: bool = False
    """Whether the candidates are deployments of weight 0."""
    wait: float | None = None
    """Where nobody can be had now: seconds until somebody may; None if no clock tells."""
    fallbacks: tuple[str, ...] = ()
    """Groups that would follow, in order, if this one could not serve: for the reason that refuses the call, if one
    does. A conversation that is at home has none."""
    snapshot: int = 0
    """Version of the model list that was asked."""

    def to_dict(self) -> dict[str, object]:
        """As JSON-able data. The error, if any, by `type`, `status`, `code` and `message`."""
        error = self.error
        said = error and {
            "type": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "message": error.message,
        }
        names = [name for name in self.__dataclass_fields__ if name not in ("error", "options")]
        plain = {name: getattr(self, name) for name in names}
        lists = {name: list(value) for name, value in plain.items() if isinstance(value, tuple)}
        return {**plain, **lists, "options": [asdict(option) for option in self.options], "error": said}

    def __str__(self) -> str:
        lines = [f"{self.model_group}: {'home is ' + self.home if self.home else 'no home'}"]
        lines += [f"  tied by {tie}" for tie in self.ties]
        for option in self.options:
            preferred = ", preferred" if option.deployment_id in self.preferred else ""
            lines.append(f"  {option.deployment_id}: {option.reason}{preferred}")
        lines.append(f"  {self.outcome}")
        if self.fallbacks:
            lines.append(f"  then: {', '.join(self.fallbacks)}")
        return "\n".join(lines)

    @property
    def outcome(self) -> str:
        """What becomes of it in this group, in words."""
        if self.error is not None:
            return f"refused: {self.error}"
        if not self.candidates:
            return "nobody can be had now" + ("" if self.wait is None else f", somebody may in {self.wait:.1f} s")
        test = ", to test it" if self.probe else ", though all breakers are open" if self.forced else ""
        return f"{self.strategy} would pick from: {', '.join(self.candidates)}{test}"


@dataclass(slots=True)
class _Narrowing:
    """What the checks leave, and whom they left out."""

    left: Sequence[Deployment]
    left_out: dict[str, tuple[Cause, str]] = field(default_factory=dict)
    home: Home | None = None
    leaning: Sequence[Deployment] = ()
    binding: str | None = None
    """The check whose order binds the strategy."""
    error: APIError | None = None


async def explain(place: Place, checks: Sequence[PreCallCheck], pool: Pool, plan: Plan) -> Explanation:
    """What the checks, and what is known of the deployments, say of the call that goes to `place` by `plan`."""
    told = await _narrowed(place, checks)
    leaning = tuple(each for each in told.leaning if each.id not in told.left_out)
    prospect = _prospect(place, told, checks, pool) if told.left and told.error is None else Prospect()
    candidates, probe = prospect.candidates, prospect.probe
    if leaning:
        spare = [each.id for each in pool.spare(place.call.group, leaning)]
        free = tuple(each for each in spare if _scored(prospect.considered.get(each)))
        candidates, probe = (free, False) if free else (candidates, probe)
    lead = prospect.lead
    return Explanation(
        model_group=place.call.group,
        ties=tuple(
            f"{tie.param} ({tie.kind} {tie.name}, {'hard' if tie.hard else 'soft'})" for tie in ties(place.call)
        ),
        home=None if told.home is None or told.home.affinity is None else told.home.affinity.home,
        options=tuple(_option(each, told, prospect.considered.get(each.id)) for each in place.deployments),
        error=told.error,
        preferred=tuple(each.id for each in leaning),
        candidates=candidates,
        strategy=prospect.strategy and (told.binding or prospect.strategy),
        probe=probe,
        forced=prospect.forced,
        order=None if lead is None else lead.order,
        standby=lead is not None and lead.weight == 0,
        wait=_wait(prospect, told.error),
        fallbacks=_following(plan, told),
        snapshot=place.snapshot,
    )


async def _narrowed(place: Place, checks: Sequence[PreCallCheck]) -> _Narrowing:
    """Ask every check, as a call would, but for their preview."""
    told = _Narrowing(place.deployments)
    for check in checks:
        name = type(check).__name__
        try:
            narrowed = await check.preview(place.call, told.left)
        except APIError as refusal:
            told.error = refusal
            told.left_out |= {each.id: ("check", f"refused by {name}") for each in told.left}
            break
        if isinstance(narrowed, Leaning):
            told.leaning = narrowed
            continue
        if isinstance(narrowed, Home):
            told.home = narrowed
        if isinstance(narrowed, Preferred):
            told.binding = name
        kept = {each.id for each in narrowed}
        cause: Cause = "home" if isinstance(narrowed, Home) else "check"
        told.left_out |= {each.id: (cause, f"left out by {name}") for each in told.left if each.id not in kept}
        told.left = narrowed
        if not narrowed:
            break
    return told


def _prospect(place: Place, told: _Narrowing, checks: Sequence[PreCallCheck], pool: Pool) -> Prospect:
    """What the pool would choose from for the first attempt."""
    everyone = told.left is place.deployments and not place.alone
    wish = Wish(
        place.call,
        None if everyone else told.left,
        told.binding is not None,
        avoid=(),
        retry=False,
        reserve=_trial(place.call, overriding(checks, "reserve")),
        force=told.home is None,
    )
    return pool.foresee(place.call.group, wish)


def _trial(call: Call, checks: Sequence[PreCallCheck]) -> Callable[[Deployment, float], float] | None:
    """Claims room and gives it back in the same step: seconds to wait if there is none, else 0."""
    if not checks:
        return None

    def claim(deployment: Deployment, now: float) -> float:
        longest = 0.0
        for check in checks:
            wait = check.reserve(call, deployment, now)
            if wait <= 0:
                check.release(call, deployment)
            longest = max(longest, wait)
        return longest

    return claim


def _following(plan: Plan, told: _Narrowing) -> tuple[str, ...]:
    """The groups that a call would turn to, one after the other."""
    failure = Failure(told.error or NoDeploymentError("it can't be served"), at_home=told.home is not None)
    groups: list[str] = []
    while True:
        try:
            plan = plan.after(failure)
        except APIError:
            return tuple(groups)
        groups.append(plan.target.group)


def _wait(prospect: Prospect, error: APIError | None) -> float | None:
    """Seconds until somebody may be had where nobody can be now."""
    if error is not None:
        return error.retry_after
    return None if prospect.shortage is None else prospect.shortage.wait


def _scored(considered: Considered | None) -> bool:
    return considered is not None and considered.score is not None


def _option(deployment: Deployment, told: _Narrowing, considered: Considered | None) -> Option:
    """One deployment, of which the pool says what is `considered`, if it was asked and knows it."""
    name, dialect = deployment.id, deployment.dialect.value
    if name in told.left_out:
        cause, reason = told.left_out[name]
        return Option(name, False, False, reason, dialect, cause)
    if considered is None:
        return Option(name, True, False, GONE, dialect, "gone")
    score = considered.score
    return Option(name, True, score is not None, considered.words, dialect, considered.cause, score)
