"""Who is at home is remembered, as long as nothing has changed."""

from __future__ import annotations

from dataclasses import replace

from checks.affinity.residents import Residents
from providers.types import Affinity, Deployment, HomePolicy

EAST = Deployment("east", "gpt", "openai", "m", account="acme")
WEST = Deployment("west", "gpt", "openai", "m", account="acme")
NORTH = Deployment("north", "gpt", "openai", "m", account="other")
ALL = (NORTH, WEST, EAST)
POLICY = HomePolicy()


def test_those_that_share_its_state_are_at_home() -> None:
    home = Residents().at_home("gpt", EAST, ALL, POLICY)
    assert (tuple(home), home.affinity, home.policy) == ((WEST, EAST), Affinity("home", "east"), POLICY)


def test_it_is_worked_out_once() -> None:
    residents = Residents()
    home = residents.at_home("gpt", EAST, ALL, POLICY)
    assert residents.at_home("gpt", EAST, ALL, POLICY) is home
    assert residents.at_home("gpt", NORTH, ALL, POLICY) == (NORTH,)
    assert residents.at_home("gpt", EAST, ALL, POLICY) is home


def test_other_deployments_are_looked_through_anew() -> None:
    residents = Residents()
    residents.at_home("gpt", EAST, ALL, POLICY)
    assert residents.at_home("gpt", EAST, (NORTH, EAST), POLICY) == (EAST,)
    assert residents.at_home("gpt", EAST, ALL, POLICY) == (WEST, EAST)


def test_a_list_is_looked_through_each_time() -> None:
    residents = Residents()
    among = [NORTH, WEST, EAST]
    assert residents.at_home("gpt", EAST, among, POLICY) == (WEST, EAST)
    among.remove(WEST)
    assert residents.at_home("gpt", EAST, among, POLICY) == (EAST,)


def test_an_owner_that_was_replaced_is_another() -> None:
    residents = Residents()
    assert residents.at_home("gpt", EAST, ALL, POLICY) == (WEST, EAST)
    moved = replace(EAST, account="other")
    assert residents.at_home("gpt", moved, ALL, POLICY) == (NORTH, EAST)


def test_another_policy_is_another_home() -> None:
    residents = Residents()
    residents.at_home("gpt", EAST, ALL, POLICY)
    other = HomePolicy("fail")
    assert residents.at_home("gpt", EAST, ALL, other).policy is other


def test_groups_do_not_mix() -> None:
    residents = Residents()
    elsewhere = (replace(WEST, id="far", group="other"),)
    assert residents.at_home("gpt", EAST, ALL, POLICY) == (WEST, EAST)
    assert residents.at_home("other", EAST, elsewhere, POLICY) == elsewhere
    assert residents.at_home("gpt", EAST, ALL, POLICY) == (WEST, EAST)
