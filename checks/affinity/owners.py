"""Whose tag a signed id bears: what a deployment signs as, and which deployment a tag stands for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from checks.affinity.domain import place_name
from checks.affinity.signed_id import owner_tag
from providers.errors import ConfigurationError
from providers.types import Deployment

MOST = 20_000
"""Tags remembered, those included of deployments that are gone."""


def signs_as(deployment: Deployment) -> str:
    """The name by which ids say that `deployment` holds a response.

    It is that of the place where it keeps its state, so that any other deployment there is found by it too; or, where
    only credentials tell the place, the deployment's own id.
    """
    known = deployment.memo.get("signs_as")
    if known is None:
        known = deployment.memo["signs_as"] = place_name(deployment) or deployment.id
    return cast("str", known)


class Owners:
    """The deployments of a Router by their tags, and those it had before."""

    def __init__(self) -> None:
        self._by_tag: dict[str, Deployment] = {}

    def accept(self, deployments: Iterable[Deployment]) -> None:
        """Take these as the Router's.

        Raises `ConfigurationError` if one tag stands for two: among 1,000, in one of two million Routers.
        """
        named: dict[str, tuple[str, Deployment]] = {}
        for each in deployments:
            for name in (signs_as(each), each.id):
                first, other = named.setdefault(owner_tag(name), (name, each))
                if first != name:
                    raise ConfigurationError(
                        f"deployments {other.id!r} and {each.id!r}: signed ids can't tell them apart; give one of them "
                        f"another model_info.id"
                    )
        before = self._by_tag if len(self._by_tag) < MOST else {}
        self._by_tag = before | {tag: deployment for tag, (_, deployment) in named.items()}

    def find(self, tag: str) -> Deployment | None:
        """The deployment that a tag stands for, or one where it keeps its state; perhaps one that is gone."""
        return self._by_tag.get(tag)
