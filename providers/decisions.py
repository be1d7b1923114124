"""Why an attempt went where it went, as data."""

from __future__ import annotations

import msgspec


class Considered(msgspec.Struct, frozen=True):
    """One deployment of the group, as it stood when the choice was made."""

    deployment_id: str
    reason: str | None = None
    """What left it out; None: it was a candidate."""
    score: float | None = None
    """What one more call would have weighed there (`Candidate.load`): less is better. None if it was left out."""


class RouteDecision(msgspec.Struct, frozen=True):
    """One choice of a deployment: who could have served, who could not and why, who was picked."""

    group: str
    strategy: str
    """Class of the strategy that was asked."""
    chosen: str | None
    """Id of the deployment picked; None if nobody could be."""
    considered: tuple[Considered, ...] = ()
    """The deployments of the group, those first that are listed first; at most `MOST_CONSIDERED`."""
    omitted: int = 0
    """Deployments that are not listed, as there are too many."""
    pin: str | None = None
    """`home`: bound to the deployments that hold its conversation; `leaning`: it would rather have had some of
    them; None: free."""
    pinned: tuple[str, ...] = ()
    """Ids of those deployments."""
    probe: bool = False
    """Whether it tests a deployment whose breaker is open."""
    seed: int | None = None
    """What the Router's randomness began with; None if the Router was given a generator of its own."""
    snapshot: int = 0
    """Version of the model list it was made with: each change of the list makes the next."""
    waited: float = 0.0
    """Seconds it took to get the deployment: asking the checks, waiting in line."""


MOST_CONSIDERED = 20
"""Deployments that one decision lists."""
