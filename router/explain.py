"""Where a call would go, and why: asked without sending it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from checks.affinity.ties import ties
from checks.base import Home, Leaning, PreCallCheck, Preferred
from providers.errors import APIError
from providers.types import Deployment
from router.pool import DeploymentHealth
from router.run import Place


@dataclass(frozen=True, slots=True)
class Option:
    """One deployment of the group."""

    deployment_id: str
    may_serve: bool
    """Whether the checks let it."""
    usable: bool
    """Whether it may serve, and neither its breaker, its rate limit nor its parallel requests keep it out now."""
    reason: str
    """What leaves it out, or `ready`."""
    dialect: str = "responses"
    """What it speaks. One that does not speak `responses` keeps no conversation by itself."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a call would go now. A strategy chooses among the usable options of the lowest tier."""

    model_group: str
    ties: tuple[str, ...]
    """What ties it to a deployment: where it stands in the call, what it is, and whether it is hard or soft."""
    home: str | None
    """Id of the deployment that holds its conversation, where that is remembered."""
    options: tuple[Option, ...]
    error: APIError | None = None
    """What a check refuses it with."""
    preferred: tuple[str, ...] = ()
    """Ids of the deployments that it goes to while they aren't busier than others; empty if it prefers none."""

    def __str__(self) -> str:
        lines = [f"{self.model_group}: {'home is ' + self.home if self.home else 'no home'}"]
        lines += [f"  tied by {tie}" for tie in self.ties]
        for option in self.options:
            preferred = ", preferred" if option.deployment_id in self.preferred else ""
            lines.append(f"  {option.deployment_id}: {option.reason}{preferred}")
        return "\n".join(lines if self.error is None else [*lines, f"  refused: {self.error}"])


async def explain(place: Place, checks: Sequence[PreCallCheck], health: Mapping[str, DeploymentHealth]) -> Explanation:
    """What the checks, and what is known of the deployments, say of the call that goes to `place`."""
    left_out: dict[str, str] = {}
    leaning: Sequence[Deployment] = ()
    home: str | None = None
    left: Sequence[Deployment] = place.deployments
    error: APIError | None = None
    for check in checks:
        try:
            narrowed = await check.preview(place.call, left)
        except APIError as refusal:
            error = refusal
            left_out |= {each.id: f"refused by {type(check).__name__}" for each in left}
            break
        if isinstance(narrowed, Home) and narrowed.affinity is not None:
            home = narrowed.affinity.home
        if isinstance(narrowed, Leaning):
            leaning = narrowed
            continue
        kept = {each.id for each in narrowed}
        left_out |= {each.id: f"left out by {type(check).__name__}" for each in left if each.id not in kept}
        left = narrowed if not isinstance(narrowed, Preferred) else tuple(narrowed)
        if not left:
            break
    options = tuple(_option(each, left_out.get(each.id), health.get(each.id)) for each in place.deployments)
    return Explanation(
        model_group=place.call.group,
        ties=tuple(
            f"{tie.param} ({tie.kind} {tie.name}, {'hard' if tie.hard else 'soft'})" for tie in ties(place.call)
        ),
        home=home,
        options=options,
        error=error,
        preferred=tuple(each.id for each in leaning if each.id not in left_out),
    )


def _option(deployment: Deployment, left_out: str | None, health: DeploymentHealth | None) -> Option:
    if left_out is not None:
        return Option(deployment.id, False, False, left_out, deployment.dialect.value)
    obstacle = _obstacle(deployment, health) if health is not None else "it has just been removed"
    return Option(deployment.id, True, obstacle is None, obstacle or "ready", deployment.dialect.value)


def _obstacle(deployment: Deployment, health: DeploymentHealth) -> str | None:
    if health.state in ("open", "half-open"):
        return f"its breaker is {health.state}" + (f" for {health.open_for:.1f} s" if health.open_for else "")
    if health.blocked_for:
        return f"its rate limit is reached for {health.blocked_for:.1f} s"
    most = deployment.max_parallel_requests
    if most is not None and health.in_flight >= most:
        return f"{health.in_flight} of {most} parallel requests are in flight"
    return None
