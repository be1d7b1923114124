"""Why an attempt went where it went, as data."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Cause: TypeAlias = Literal[
    "check", "home", "unsaid", "tried", "breaker", "quota", "room", "capacity", "order", "gone", "deadline"
]
"""What left a deployment out: a check; that it does not hold the conversation; that it can't say what is asked; that
this call has tried it; its breaker; its rate limit; a limit that a check keeps; its parallel requests; that one of a
lower `order`, or with a weight, can serve; that it has been removed; that the call's time was over."""


class Considered(msgspec.Struct, frozen=True, gc=False):
    """One deployment of the group, as it stood when the choice was made."""

    deployment_id: str
    reason: str | None = None
    """What left it out. With a score: what would have, were this not a test of it, or had there been another."""
    score: float | None = None
    """What one more call would have weighed there (`Candidate.load`): less is better. None if it was left out."""
    cause: Cause | None = None
    """The reason in one word, to count by."""
    wait: float | None = None
    """Seconds for which that lasted, if a clock could tell."""

    @property
    def words(self) -> str:
        """The reason as a sentence, the time in it; `ready` without one."""
        if self.reason is None:
            return "ready"
        if self.wait is None:
            return self.reason
        what, colon, why = self.reason.partition(":")
        return f"{what} for {self.wait:.1f} s{colon}{why}"


class RouteDecision(msgspec.Struct, frozen=True, gc=False):
    """One choice of a deployment: who could have served, who could not and why, who was picked."""

    group: str
    strategy: str | None
    """Class of the group's strategy, or of the check whose order binds it; None: the checks left it nobody."""
    chosen: str | None
    """Id of the deployment picked; None if nobody could be."""
    considered: tuple[Considered, ...] = ()
    """The deployments of the group, or the one asked for by its id: the chosen first, then those that it was chosen
    among, then those left out; at most `MOST_CONSIDERED`."""
    omitted: int = 0
    """Deployments that are not listed, as there are too many."""
    pin: Literal["home", "leaning"] | None = None
    """`home`: bound to the deployments that hold its conversation; `leaning`: it would rather have had some of
    them; None: free."""
    pinned: tuple[str, ...] = ()
    """Ids of those deployments; at most `MOST_CONSIDERED`."""
    probe: bool = False
    """Whether it tests a deployment whose breaker is open."""
    forced: bool = False
    """Whether a breaker was no obstacle, as nobody was left whose breaker is closed (`on_all_down="try"`)."""
    seed: int | None = None
    """What the Router's randomness began with; None if the Router was given a generator of its own."""
    snapshot: int = 0
    """Version of the model list it was made with: each change of the list makes the next."""
    waited: float = 0.0
    """Seconds it took to get the deployment: asking the checks, waiting in line."""


MOST_CONSIDERED = 20
"""Deployments that one decision lists."""
