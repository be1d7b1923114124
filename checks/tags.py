"""Route by tags: a call's tags choose among deployments' tags."""

from __future__ import annotations

from collections.abc import Sequence

from checks.base import PreCallCheck
from providers.errors import BadRequestError
from providers.types import Call, Deployment

DEFAULT = "default"
"""Deployments with this tag serve calls that have none, or none that match."""


class Tags(PreCallCheck):
    """Lets a call be served by deployments that share one of its tags (`match="all"`: that have all of them).

    A call's tags stand in `litellm_metadata={"tags": ["paid"]}`. A tag with a leading `!` excludes the deployments
    that have it. Calls without tags, or whose tags nobody has, go to the deployments tagged `default`, if there are
    any; without those, calls without tags may go anywhere, and calls with tags are refused with `BadRequestError`.
    """

    def __init__(self, *, match: str = "any") -> None:
        if match not in ("any", "all"):
            raise ValueError(f"match must be 'any' or 'all', not {match!r}")
        self._all = match == "all"

    async def eligible(self, call: Call, deployments: Sequence[Deployment]) -> Sequence[Deployment]:
        """The deployments whose tags match."""
        tags = tags_of(call)
        banned = frozenset(tag[1:] for tag in tags if tag.startswith("!"))
        wanted = frozenset(tag for tag in tags if not tag.startswith("!"))
        allowed = [each for each in deployments if not each.tags & banned] if banned else deployments
        if wanted:
            matching = [each for each in allowed if self._match(wanted, each)]
            if matching:
                return matching
        defaults = [each for each in allowed if DEFAULT in each.tags]
        if defaults or not wanted:
            return defaults or allowed
        known = sorted({tag for each in deployments for tag in each.tags})
        raise BadRequestError(
            f"no deployment of {call.group!r} has the tags {sorted(wanted)}; known there: {known or 'none'}",
            param="litellm_metadata.tags",
            code="no_matching_tags",
        )

    def _match(self, wanted: frozenset[str], deployment: Deployment) -> bool:
        return wanted <= deployment.tags if self._all else bool(wanted & deployment.tags)


def tags_of(call: Call) -> frozenset[str]:
    """The tags of a call. Anything but texts is refused: ignored, it would let the call go anywhere."""
    asked = call.metadata.get("tags")
    if asked is None:
        return frozenset()
    tags = (asked,) if isinstance(asked, str) else asked
    if isinstance(tags, (list, tuple, set, frozenset)) and all(isinstance(tag, str) for tag in tags):
        return frozenset(tags)
    raise BadRequestError(
        f"litellm_metadata.tags must be a list of texts, such as ['paid'], not {asked!r}",
        param="litellm_metadata.tags",
    )
