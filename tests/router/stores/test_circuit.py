"""Probes: when they start, how they back off, who runs them."""

from __future__ import annotations

import asyncio
import random
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from fakes import Clock
from redis_servers import eventually

from router.stores.background import Background
from router.stores.circuit import FIRST_DELAY, LONGEST_DELAY, Circuit


class Patient:
    """Ill for a number of probes, then well."""

    def __init__(self, clock: Clock, ill: int) -> None:
        self.ill = ill
        self.probes = 0
        self.healed_meanwhile = False
        self.circuit = Circuit(Background(), clock, random.Random(7))

    async def probe(self) -> bool:
        self.probes += 1
        if self.healed_meanwhile:
            self.circuit.mend()
            return False
        if self.probes > self.ill:
            self.circuit.mend()
            return True
        return False

    def trip(self) -> bool:
        return self.circuit.trip(weakref.WeakMethod(self.probe))

    def watch(self) -> None:
        self.circuit.watch(weakref.WeakMethod(self.probe))


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the running loop's timers are set to from now on; they go off at once."""
    found: list[float] = []

    def call_later(self: asyncio.BaseEventLoop, delay: float, callback: Callable[..., object], *args: Any) -> object:
        found.append(delay)
        return self.call_soon(callback, *args)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_later", call_later)
    return found


async def recovered(patient: Patient) -> None:
    await eventually(lambda: not patient.circuit.down, "recovery")


async def test_probes_back_off_with_jitter(clock: Clock, delays: list[float]) -> None:
    patient = Patient(clock, ill=7)
    assert patient.trip()
    await recovered(patient)
    planned = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert len(delays) == len(planned) == patient.probes
    assert all(plan / 2 <= delay <= plan for plan, delay in zip(planned, delays, strict=True))
    assert len({delay / plan for plan, delay in zip(planned, delays, strict=True)}) == len(planned)


async def test_an_outage_is_news_once(clock: Clock, delays: list[float]) -> None:
    patient = Patient(clock, ill=0)
    assert [patient.trip(), patient.trip(), patient.circuit.down] == [True, False, True]
    patient.watch()
    await recovered(patient)
    clock.advance(5)
    patient.watch()
    assert (len(delays), patient.probes) == (1, 1)
    assert patient.circuit.mend() is None


@pytest.mark.parametrize(("pause", "expected"), [(10.0, 2 * FIRST_DELAY), (10.1, FIRST_DELAY)])
async def test_an_outage_soon_after_another_goes_on_with_its_back_off(
    clock: Clock, delays: list[float], pause: float, expected: float
) -> None:
    patient = Patient(clock, ill=0)
    patient.trip()
    await recovered(patient)
    clock.advance(pause)
    patient.trip()
    await recovered(patient)
    assert expected / 2 <= delays[1] <= expected


async def test_outages_in_a_row_back_off_no_further_than_the_longest(clock: Clock, delays: list[float]) -> None:
    patient = Patient(clock, ill=0)
    for _ in range(20):
        patient.trip()
        await recovered(patient)
    assert max(delays) <= LONGEST_DELAY
    assert min(delays[-5:]) >= LONGEST_DELAY / 2


async def test_how_long_it_was_down(clock: Clock) -> None:
    patient = Patient(clock, ill=100)
    patient.trip()
    clock.advance(3)
    assert patient.circuit.mend() == 3
    patient.circuit.rest()


async def test_at_rest_nobody_probes_until_somebody_is_turned_away(clock: Clock, delays: list[float]) -> None:
    patient = Patient(clock, ill=0)
    patient.trip()
    patient.circuit.rest()
    for _ in range(5):
        await asyncio.sleep(0)
    assert (patient.probes, patient.circuit.down) == (0, True)
    patient.watch()
    await recovered(patient)
    assert patient.probes == 1


async def test_what_is_gone_is_not_probed(clock: Clock, delays: list[float]) -> None:
    patient = Patient(clock, ill=100)
    circuit = patient.circuit
    patient.trip()
    del patient
    for _ in range(10):
        await asyncio.sleep(0)
    assert (len(delays), circuit.down) == (1, True)


async def test_what_goes_while_its_probe_starts_is_let_go(clock: Clock, delays: list[float]) -> None:
    patient = Patient(clock, ill=100)
    circuit = patient.circuit
    patient.trip()
    await asyncio.sleep(0)  # the timer goes off, and the task is made
    del patient
    for _ in range(10):
        await asyncio.sleep(0)
    assert circuit.down
    circuit.rest()


async def test_an_older_timer_gives_way_to_a_newer(clock: Clock) -> None:
    patient = Patient(clock, ill=0)
    patient.trip()
    patient.circuit.rest()
    patient.watch()
    await eventually(lambda: not patient.circuit.down, "recovery")
    assert patient.probes == 1


async def test_a_probe_that_fails_after_another_has_succeeded_is_the_last(clock: Clock, delays: list[float]) -> None:
    patient = Patient(clock, ill=9)
    patient.healed_meanwhile = True
    patient.trip()
    await recovered(patient)
    for _ in range(10):
        await asyncio.sleep(0)
    assert (len(delays), patient.probes) == (1, 1)
