"""Tags of signed ids: what a deployment signs as, and whom a tag finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr

from checks.affinity import owners as module
from checks.affinity.domain import place_name
from checks.affinity.owners import Owners, signs_as
from checks.affinity.signed_id import owner_tag
from providers.errors import ConfigurationError
from providers.types import Deployment

A = Deployment("a", "g", "openai", "m", api_key=SecretStr("sk-secret"))
EAST, WEST = (Deployment(name, "g", "openai", "m", account="acme") for name in ("east", "west"))
AZURE = Deployment("az", "g", "azure", "m", api_base="https://res.openai.azure.com", api_key=SecretStr("sk-secret"))


def test_a_place_has_a_name_where_that_needs_no_secret() -> None:
    assert place_name(A) is None
    assert signs_as(A) == "a"
    assert place_name(EAST) == place_name(WEST) == "account\nacme"
    assert signs_as(AZURE) == place_name(replace(AZURE, id="other", api_key=SecretStr("rotated")))
    for each in (A, EAST, AZURE):
        assert "sk-secret" not in signs_as(each)
        assert signs_as(each) == signs_as(each)
        assert signs_as(each) != each.id or each is A


def test_a_tag_finds_who_signs_with_it_and_everybody_at_that_place() -> None:
    owners = Owners()
    owners.accept([A, EAST, WEST])
    assert owners.find(owner_tag("a")) is A
    assert owners.find(owner_tag(signs_as(WEST))) is EAST
    assert owners.find(owner_tag("west")) is WEST, "ids from before it had an account"
    assert owners.find(owner_tag("b")) is None


def test_who_is_gone_is_still_found_unless_another_took_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = Owners()
    owners.accept([A, EAST, WEST])
    owners.accept([WEST])
    assert owners.find(owner_tag("a")) is A
    assert owners.find(owner_tag(signs_as(EAST))) is WEST
    monkeypatch.setattr(module, "MOST", 4)
    owners.accept([WEST])
    assert owners.find(owner_tag("a")) is None, "what is remembered is bounded"
    assert owners.find(owner_tag("west")) is WEST


def test_two_deployments_with_one_tag_are_refused() -> None:
    alike = [Deployment(name, "g", "openai", "m") for name in ("d949462", "d1151906")]  # found by trying a million
    assert owner_tag("d949462") == owner_tag("d1151906")
    owners = Owners()
    owners.accept([A])
    with pytest.raises(ConfigurationError, match=r"'d949462' and 'd1151906'.*model_info\.id"):
        owners.accept([*alike, A])
    assert owners.find(owner_tag("a")) is A
    assert owners.find(owner_tag("d949462")) is None, "nothing has changed"
    owners.accept([alike[0]])
